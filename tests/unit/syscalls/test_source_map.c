/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"
#include "trace/process/syscalls/source_map.h"

typedef struct opened {
    source_map *map;
    char problem[256];
} opened;

static loom_status open_text(opened *o, const char *text)
{
    char path[] = "/tmp/loom-source-map-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal((ssize_t)strlen(text), write(fd, text, strlen(text)));
    close(fd);
    o->problem[0] = '\0';
    loom_status st = source_map_open(&o->map, path, o->problem, sizeof o->problem);
    unlink(path);
    return st;
}

static decoded *place(const char *file, int64_t line, int64_t column)
{
    decoded *d = calloc(1, sizeof *d);
    decoded_str(d, "code.file.path", str_of(file));
    decoded_int(d, "code.line.number", line);
    decoded_int(d, "code.column.number", column);
    return d;
}

static void check_place(const source_map *map, const char *file, int64_t line, int64_t column, const char *const expected[5])
{
    static const char *const keys[] = {"transpiler.source_language", "transpiler.original_file", "transpiler.original_line",
                                       "transpiler.original_function", "transpiler.decision_id"};
    decoded *d = place(file, line, column);
    source_map_apply(map, d);
    for (size_t k = 0; k < 5; k++) {
        const loom_attr *found = NULL;
        char number[24];
        for (size_t i = 0; i < d->count; i++) {
            found = strcmp(d->attrs[i].key, keys[k]) == 0 ? &d->attrs[i] : found;
        }
        if ((found == NULL) != (expected[k] == NULL)) {
            fail_msg("line %d: %s is %s", (int)line, keys[k], found != NULL ? "there" : "missing");
        } else if (found != NULL && found->type == LOOM_ATTR_INT) {
            (void)snprintf(number, sizeof number, "%d", (int)found->value.integer);
            assert_string_equal(expected[k], number);
        } else if (found != NULL) {
            assert_str(expected[k], found->value.string);
        }
    }
    free(d);
}

#define NOWHERE ((const char *const[5]){NULL})

static const char version_1[] =
    "{\"version\":1,\"source_language\":\"Python\",\"mappings\":["
    "{\"generated_file\":\"src/app.rs\",\"generated_line\":150,\"original_file\":\"app.py\",\"original_line\":15,"
    "\"original_function\":\"read_config\",\"transpiler_decision\":{\"optimization\":\"inline\"}},"
    "{\"rust_line\":20,\"python_line\":3,\"python_function\":\"main\",\"decision_id\":42}]}";

static void a_list_of_lines_is_read(void **state)
{
    (void)state;
    opened o;
    assert_status(LOOM_OK, open_text(&o, version_1));
    check_place(o.map, "/build/app.rs", 150, 9, (const char *const[5]){"Python", "app.py", "15", "read_config", "inline"});
    check_place(o.map, "/build/app.rs", 20, 0, (const char *const[5]){"Python", NULL, "3", "main", "42"});
    check_place(o.map, "/build/other.rs", 150, 0, NOWHERE);
    check_place(o.map, "/build/app.rs", 151, 0, NOWHERE);
    source_map_free(o.map);
    source_map_apply(NULL, NULL);
}

/* Line 1: column 1 is a.ts 1:1 "main"; column 11 is a.ts 2:1. Line 3: column 1 is b.ts 1:1. */
static const char version_3[] = "{\"version\":3,\"file\":\"out.js\",\"sources\":[\"a.ts\",\"b.ts\"],\"names\":[\"main\"],"
                                "\"mappings\":\"AAAAA,UACA;;ACDA\","
                                "\"x_transpiler\":{\"decisions\":[{\"line\":3,\"id\":\"d-9\"}]}}";

static void base_64_mappings_are_read(void **state)
{
    (void)state;
    opened o;
    assert_status(LOOM_OK, open_text(&o, version_3));
    check_place(o.map, "out.js", 1, 5, (const char *const[5]){"TypeScript", "a.ts", "1", "main", NULL});
    check_place(o.map, "out.js", 1, 0, (const char *const[5]){"TypeScript", "a.ts", "1", "main", NULL});
    check_place(o.map, "out.js", 1, 30, (const char *const[5]){"TypeScript", "a.ts", "2", NULL, NULL});
    check_place(o.map, "out.js", 2, 1, NOWHERE);
    check_place(o.map, "out.js", 3, 1, (const char *const[5]){"TypeScript", "b.ts", "1", NULL, "d-9"});
    source_map_free(o.map);
}

static void what_is_no_source_map_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {{"", "line"},
                 {"[]", "version"},
                 {"{\"version\":2,\"mappings\":\"\"}", "version"},
                 {"{\"version\":3,\"mappings\":[]}", "version"},
                 {"{\"version\":3,\"sections\":[]}", "sections"},
                 {"{\"version\":3,\"mappings\":\"A!\"}", "malformed at line 1"},
                 {"{\"version\":3,\"mappings\":\";;AA\"}", "malformed at line 3"},
                 {"{\"version\":3,\"mappings\":\"D\"}", "malformed"},
                 {"{\"version\":3,\"mappings\":\"gggggggggggggggggggB\"}", "malformed"},
                 {"{\"version\":3,\"mappings\":\"AAAAAA\"}", "malformed"},
                 {"{\"version\":1,\"mappings\":[{\"generated_line\":0}]}", "mapping 1"},
                 {"{\"version\":1,\"mappings\":[7]}", "mapping 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        opened o;
        assert_status(LOOM_EMALFORMED, open_text(&o, cases[i].text));
        assert_null(o.map);
        if (strstr(o.problem, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].text, o.problem);
        }
    }
    source_map *map;
    char problem[256];
    assert_status(LOOM_ENOTFOUND, source_map_open(&map, "/nowhere/map.json", problem, sizeof problem));
}

static loom_status open_and_free(void *user)
{
    opened o;
    loom_status st = open_text(&o, user);
    source_map_free(o.map);
    return st;
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    static char one[sizeof version_1], three[sizeof version_3];
    memcpy(one, version_1, sizeof one);
    memcpy(three, version_3, sizeof three);
    assert_true(alloc_fault_each(open_and_free, one) > 0);
    assert_true(alloc_fault_each(open_and_free, three) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_lines_is_read),
        cmocka_unit_test(base_64_mappings_are_read),
        cmocka_unit_test(what_is_no_source_map_is_refused),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
