/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/baggage.h>

#include "tests/support/alloc_fault.h"
#include "tests/support/check.h"

static loom_baggage *parsed(loom_str text, size_t dropped)
{
    loom_baggage *b;
    size_t left_out = SIZE_MAX;
    assert_status(LOOM_OK, loom_baggage_parse(&b, text, &left_out));
    assert_int_equal(dropped, left_out);
    return b;
}

static loom_baggage_member pair(const char *key, const char *value)
{
    return (loom_baggage_member){.key = str_of(key), .value = str_of(value)};
}

static void null_reads_as_the_empty_baggage(void **state)
{
    (void)state;
    assert_int_equal(0, loom_baggage_count(NULL));
    assert_null(loom_baggage_find(NULL, STR("a")));
    assert_str("", loom_baggage_text(NULL));
    assert_null(loom_baggage_ref(NULL));
    loom_baggage_unref(NULL);
    loom_baggage *empty = parsed((loom_str){0}, 0);
    assert_int_equal(0, loom_baggage_count(empty));
    assert_str("", loom_baggage_text(empty));
    loom_baggage_unref(empty);
}

static void set_encodes_what_the_grammar_refuses(void **state)
{
    (void)state;
    loom_baggage *b;
    assert_status(LOOM_OK, loom_baggage_set(&b, NULL, &(loom_baggage_member){
                                                          .key = STR("k"), .value = STR("50% \"a,b;c\\d\" =é\0\n+")}));
    assert_str("k=50%25%20%22a%2Cb%3Bc%5Cd%22%20=%C3%A9%00%0A+", loom_baggage_text(b));
    const loom_baggage_member *m = loom_baggage_find(b, STR("k"));
    assert_non_null(m);
    assert_int_equal(sizeof "50% \"a,b;c\\d\" =é\0\n+" - 1, m->value.len);
    assert_memory_equal("50% \"a,b;c\\d\" =é\0\n+", m->value.data, m->value.len);
    loom_baggage_unref(b);
}

static void set_replaces_in_place_and_leaves_the_old_one_as_it_was(void **state)
{
    (void)state;
    loom_baggage *old = parsed(STR("a=1, b=2;p , a=3 ,c=4"), 0);
    loom_baggage *new;
    const loom_baggage_member m = pair("a", "x y");
    assert_status(LOOM_OK, loom_baggage_set(&new, old, &m));
    assert_str("a=x%20y,b=2;p,c=4", loom_baggage_text(new));
    assert_string_equal("a=x%20y,b=2;p,c=4", loom_baggage_text(new).data); /* with its NUL */
    assert_str("a=1,b=2;p,a=3,c=4", loom_baggage_text(old));
    loom_baggage_unref(old);
    assert_str("x y", loom_baggage_find(new, STR("a"))->value);
    loom_baggage_unref(new);
}

static void set_appends_a_new_key_with_its_properties(void **state)
{
    (void)state;
    loom_baggage *old = parsed(STR("a=1"), 0);
    const loom_baggage_property properties[] = {{.key = STR("ttl"), .value = STR("60"), .has_value = true},
                                                {.key = STR("private")},
                                                {.key = STR("empty"), .has_value = true}};
    loom_baggage *new;
    assert_status(LOOM_OK, loom_baggage_set(&new, old,
                                            &(loom_baggage_member){.key = STR("b"),
                                                                   .value = STR("2"),
                                                                   .properties = properties,
                                                                   .property_count = 3}));
    assert_str("a=1,b=2;ttl=60;private;empty=", loom_baggage_text(new));
    const loom_baggage_member *m = loom_baggage_find(new, STR("b"));
    assert_int_equal(3, m->property_count);
    assert_str("60", m->properties[0].value);
    assert_false(m->properties[1].has_value);
    assert_true(m->properties[2].has_value);
    loom_baggage_unref(old);
    loom_baggage_unref(new);
}

static void a_member_off_the_grammar_cannot_be_set(void **state)
{
    (void)state;
    const loom_baggage_property bad_key = {.key = STR("a b")};
    const loom_baggage_property bad_value = {.key = STR("p"), .value = STR("a;b"), .has_value = true};
    const loom_baggage_member bad[] = {
        pair("", "v"),
        pair("a b", "v"),
        pair("a=b", "v"),
        pair("é", "v"),
        pair("k", "\xff"),
        {.key = STR("k"), .value = STR("v"), .properties = &bad_key, .property_count = 1},
        {.key = STR("k"), .value = STR("v"), .properties = &bad_value, .property_count = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        loom_baggage *b;
        assert_status(LOOM_EINVAL, loom_baggage_set(&b, NULL, &bad[i]));
        assert_null(b);
    }
}

static void remove_takes_every_member_of_a_key(void **state)
{
    (void)state;
    loom_baggage *old = parsed(STR("a=1,b=%20,a=3"), 0);
    loom_baggage *new;
    assert_status(LOOM_OK, loom_baggage_remove(&new, old, STR("a")));
    assert_str("b=%20", loom_baggage_text(new));
    assert_str(" ", loom_baggage_at(new, 0)->value);
    loom_baggage *same;
    assert_status(LOOM_OK, loom_baggage_remove(&same, new, STR("zzz")));
    assert_str("b=%20", loom_baggage_text(same));
    loom_baggage_unref(old);
    loom_baggage_unref(new);
    loom_baggage_unref(same);
}

static void a_reference_keeps_it_alive(void **state)
{
    (void)state;
    loom_baggage *b = parsed(STR("a=%41"), 0);
    assert_ptr_equal(b, loom_baggage_ref(b));
    loom_baggage_unref(b);
    assert_str("A", loom_baggage_find(b, STR("a"))->value);
    loom_baggage_unref(b);
}

static void the_last_of_equal_keys_is_found(void **state)
{
    (void)state;
    loom_baggage *b = parsed(STR("k=1,k=2"), 0);
    assert_int_equal(2, loom_baggage_count(b));
    assert_str("1", loom_baggage_at(b, 0)->value);
    assert_str("2", loom_baggage_find(b, STR("k"))->value);
    assert_null(loom_baggage_find(b, STR("K")));
    loom_baggage_unref(b);
}

/* "k00=v,k01=v …" */
static loom_str numbered(char *text, size_t size, unsigned count)
{
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        len += (size_t)snprintf(text + len, size - len, "%sk%02u=v", i > 0 ? "," : "", i);
    }
    return (loom_str){text, len};
}

static void members_after_the_64th_are_left_out_and_counted(void **state)
{
    (void)state;
    char text[1024];
    loom_baggage *b = parsed(numbered(text, sizeof text, 70), 6);
    assert_int_equal(LOOM_BAGGAGE_MAX_MEMBERS, loom_baggage_count(b));
    assert_non_null(loom_baggage_find(b, STR("k63")));
    assert_null(loom_baggage_find(b, STR("k64")));
    loom_baggage *more;
    const loom_baggage_member m = pair("one-more", "v");
    assert_status(LOOM_ETOOBIG, loom_baggage_set(&more, b, &m));
    assert_null(more);
    const loom_baggage_member replacement = pair("k10", "other");
    assert_status(LOOM_OK, loom_baggage_set(&more, b, &replacement));
    assert_int_equal(LOOM_BAGGAGE_MAX_MEMBERS, loom_baggage_count(more));
    loom_baggage_unref(b);
    loom_baggage_unref(more);
}

static void a_member_beyond_8192_bytes_is_left_out_whole(void **state)
{
    (void)state;
    static char text[LOOM_BAGGAGE_MAX + 100];
    memset(text, 'v', sizeof text);
    memcpy(text, "a=1,b=", 6);
    loom_str whole = {text, LOOM_BAGGAGE_MAX};
    loom_baggage *b = parsed(whole, 0);
    assert_int_equal(LOOM_BAGGAGE_MAX, loom_baggage_text(b).len);
    loom_baggage *more;
    const loom_baggage_member c = pair("c", "");
    assert_status(LOOM_ETOOBIG, loom_baggage_set(&more, b, &c));
    loom_baggage_unref(b);

    memcpy(text + LOOM_BAGGAGE_MAX + 1, ",c=3", 4);
    whole.len = LOOM_BAGGAGE_MAX + 5;
    b = parsed(whole, 1);
    assert_str("a=1,c=3", loom_baggage_text(b));
    loom_baggage_unref(b);
}

static void white_space_does_not_count_against_the_limit(void **state)
{
    (void)state;
    static char text[3 * LOOM_BAGGAGE_MAX];
    memset(text, ' ', sizeof text);
    memcpy(text, "a", 1);
    memcpy(text + 9000, "=", 1);
    memcpy(text + 18000, "1;p,b=2", 7);
    loom_baggage *b = parsed((loom_str){text, sizeof text}, 0);
    assert_str("a=1;p,b=2", loom_baggage_text(b));
    loom_baggage_unref(b);
}

static void a_value_too_large_once_encoded_cannot_be_set(void **state)
{
    (void)state;
    static char spaces[LOOM_BAGGAGE_MAX];
    memset(spaces, ' ', sizeof spaces);
    loom_baggage *b;
    const size_t fits = (LOOM_BAGGAGE_MAX - 2) / 3;
    loom_baggage_member m = {.key = STR("k"), .value = {spaces, fits}};
    assert_status(LOOM_OK, loom_baggage_set(&b, NULL, &m));
    assert_int_equal(fits, loom_baggage_at(b, 0)->value.len);
    loom_baggage_unref(b);
    m.value.len = fits + 1;
    assert_status(LOOM_ETOOBIG, loom_baggage_set(&b, NULL, &m));
    assert_null(b);
}

static loom_status parse_set_remove(void *user)
{
    (void)user;
    loom_baggage *a = NULL;
    loom_baggage *b = NULL;
    loom_baggage *c = NULL;
    const loom_baggage_member m = pair("k", "x y");
    loom_status status = loom_baggage_parse(&a, STR("a=1;p=q,b=%20"), NULL);
    if (status == LOOM_OK) {
        status = loom_baggage_set(&b, a, &m);
    }
    if (status == LOOM_OK) {
        status = loom_baggage_remove(&c, b, STR("a"));
    }
    if (status == LOOM_OK) {
        assert_str("b=%20,k=x%20y", loom_baggage_text(c));
    } else {
        assert_null(c);
    }
    loom_baggage_unref(a);
    loom_baggage_unref(b);
    loom_baggage_unref(c);
    return status;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_int_equal(3, alloc_fault_each(parse_set_remove, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_reads_as_the_empty_baggage),
        cmocka_unit_test(set_encodes_what_the_grammar_refuses),
        cmocka_unit_test(set_replaces_in_place_and_leaves_the_old_one_as_it_was),
        cmocka_unit_test(set_appends_a_new_key_with_its_properties),
        cmocka_unit_test(a_member_off_the_grammar_cannot_be_set),
        cmocka_unit_test(remove_takes_every_member_of_a_key),
        cmocka_unit_test(a_reference_keeps_it_alive),
        cmocka_unit_test(the_last_of_equal_keys_is_found),
        cmocka_unit_test(members_after_the_64th_are_left_out_and_counted),
        cmocka_unit_test(a_member_beyond_8192_bytes_is_left_out_whole),
        cmocka_unit_test(white_space_does_not_count_against_the_limit),
        cmocka_unit_test(a_value_too_large_once_encoded_cannot_be_set),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
