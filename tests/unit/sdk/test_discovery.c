/* SPDX-License-Identifier: Apache-2.0 */
/* Lists as the broker packs them: read, cut anywhere, and with what does not belong there. */
#include <stdlib.h>

#include "base/str.h"
#include "sdk-c/discovery/entries.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

typedef struct answer {
    uint8_t bytes[2048];
    size_t len;
} answer;

static void put(answer *a, const char *text)
{
    a->len = (size_t)(mp_put_str(a->bytes + a->len, str_of(text)) - a->bytes);
}

static void put_byte(answer *a, unsigned byte)
{
    a->bytes[a->len++] = (uint8_t)byte;
}

static void put_pair(answer *a, const char *key, const char *value)
{
    put(a, key);
    put(a, value);
}

static answer capabilities(unsigned count)
{
    answer a = {.len = 0};
    put_byte(&a, MP_FIXMAP | 3);
    put(&a, "status");
    put_byte(&a, 0);
    put(&a, "capabilities");
    put_byte(&a, MP_FIXARRAY | count);
    for (unsigned i = 0; i < count; i++) {
        put_byte(&a, MP_FIXMAP | 4);
        put_pair(&a, "name", "math.add");
        put_pair(&a, "version", "1.0");
        put_pair(&a, "later", "unknown");
        put(&a, "providers");
        put_byte(&a, MP_FIXARRAY | 2);
        for (unsigned k = 0; k < 2; k++) {
            put_byte(&a, MP_FIXMAP | 2);
            put_pair(&a, "agent", k == 0 ? "one" : "two");
            put(&a, "calls");
            put_byte(&a, 7);
        }
    }
    put(&a, "more");
    put_byte(&a, 0xc3);
    return a;
}

static loom_status add(entries *e, const answer *a, size_t len, entries_page *page)
{
    uint8_t *exact = malloc(len > 0 ? len : 1); /* so that a read past it is seen */
    if (exact == NULL) {
        return LOOM_ENOMEM;
    }
    memcpy(exact, a->bytes, len);
    const loom_status st = entries_add_page(e, (loom_bytes){exact, len}, "capabilities", page);
    free(exact);
    return st;
}

static entries *create(void)
{
    return calloc(1, sizeof(entries));
}

static void a_list_is_read(void **state)
{
    (void)state;
    entries *e = create();
    entries_page page;
    const answer a = capabilities(2);
    assert_status(LOOM_OK, add(e, &a, a.len, &page));
    assert_status(LOOM_OK, add(e, &a, a.len, &page)); /* another page */
    assert_int_equal(4, e->shown.capability_count);
    const loom_capability_entry *c = &e->shown.capabilities[3];
    assert_string_equal("math.add", c->name);
    assert_string_equal("1.0", c->version);
    assert_string_equal("", c->description);
    assert_int_equal(2, c->provider_count);
    assert_string_equal("two", c->providers[1]);
    assert_true(page.more);
    assert_string_equal("math.add", page.last);
    entries_free(e);
}

static void an_answer_that_is_cut_anywhere_is_no_answer(void **state)
{
    (void)state;
    const answer a = capabilities(2);
    for (size_t len = 0; len < a.len; len++) {
        entries *e = create();
        entries_page page;
        assert_status(LOOM_EPROTO, add(e, &a, len, &page));
        entries_free(e);
    }
}

static void counts_beyond_the_bytes_are_no_answer(void **state)
{
    (void)state;
    static const uint8_t bombs[][9] = {
        {0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 'x', 0, 0},
        {0xdd, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
        {0xc0, 0, 0, 0, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        entries *e = create();
        entries_page page;
        assert_status(LOOM_EPROTO, entries_add_page(e, (loom_bytes){bombs[i], sizeof bombs[i]}, "capabilities", &page));
        entries_free(e);
    }
    answer a = capabilities(1);
    uint8_t *providers = memmem(a.bytes, a.len, "providers", 9);
    assert_non_null(providers);
    memcpy(providers + 9, "\xdd\xff\xff\xff\xff", 5);
    entries *e = create();
    entries_page page;
    assert_status(LOOM_EPROTO, add(e, &a, a.len, &page));
    entries_free(e);
}

static void bytes_that_are_changed_do_no_harm(void **state)
{
    (void)state;
    const answer a = capabilities(2);
    for (size_t at = 0; at < a.len; at++) {
        for (unsigned value = 0; value < 256; value += 3) {
            answer changed = a;
            changed.bytes[at] = (uint8_t)value;
            entries *e = create();
            entries_page page;
            const loom_status st = add(e, &changed, changed.len, &page);
            assert_true(st == LOOM_OK || st == LOOM_EPROTO);
            entries_free(e);
        }
    }
}

static loom_status read_once(void *user)
{
    entries *e = create();
    entries_page page;
    const loom_status st = e != NULL ? add(e, user, ((const answer *)user)->len, &page) : LOOM_ENOMEM;
    entries_free(e);
    return st;
}

static void reading_reports_out_of_memory(void **state)
{
    (void)state;
    answer a = capabilities(2);
    alloc_fault_each(read_once, &a);
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    loom_directory *list = (loom_directory *)(void *)&list;
    assert_status(LOOM_EINVAL, loom_agent_list_agents(NULL, NULL, &list));
    assert_null(list);
    assert_status(LOOM_EINVAL, loom_agent_list_capabilities(NULL, NULL, &list));
    assert_status(LOOM_EINVAL, loom_agent_list_agents(NULL, NULL, NULL));
    assert_status(LOOM_EINVAL, loom_agent_watch_agents(NULL, NULL, NULL));
    assert_status(LOOM_EINVAL, loom_agent_watch_capabilities(NULL, &(loom_watch){0}, NULL));
    loom_directory_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read),
        cmocka_unit_test(an_answer_that_is_cut_anywhere_is_no_answer),
        cmocka_unit_test(counts_beyond_the_bytes_are_no_answer),
        cmocka_unit_test(bytes_that_are_changed_do_no_harm),
        cmocka_unit_test(reading_reports_out_of_memory),
        cmocka_unit_test(what_is_missing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
