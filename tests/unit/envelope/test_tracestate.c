/* SPDX-License-Identifier: Apache-2.0 */
#include <loom/tracestate.h>

#include "tests/support/check.h"

static char out[LOOM_TRACESTATE_BUFFER_SIZE];

static void assert_set(const char *expected, const char *text, const char *key, const char *value)
{
    size_t len;
    assert_status(LOOM_OK, loom_tracestate_set(out, sizeof out, &len, str_of(text), str_of(key), str_of(value)));
    assert_str(expected, ((loom_str){out, len}));
}

static void a_key_set_goes_leftmost_and_its_older_member_goes_away(void **state)
{
    (void)state;
    assert_set("loom=1", "", "loom", "1");
    assert_set("loom=1,rojo=r,congo=c", "rojo=r,congo=c", "loom", "1");
    assert_set("congo=2,rojo=r", "rojo=r,congo=c", "congo", "2");
    assert_set("rojo=2,congo=c", "rojo=r,congo=c", "rojo", "2");
    assert_set("b=2,a=a,c=c", "a=a,b=b,c=c", "b", "2");
}

static void white_space_and_empty_members_are_not_passed_on(void **state)
{
    (void)state;
    assert_set("loom=1,a=  x,b=y", " \ta=  x ,, \t, b=y\t,", "loom", "1");
}

static void setting_a_33rd_member_drops_the_rightmost(void **state)
{
    (void)state;
    char text[32 * 6];
    size_t len = 0;
    for (unsigned i = 0; i < 32; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%sk%02u=1", i > 0 ? "," : "", i);
    }
    size_t set_len;
    assert_status(LOOM_OK, loom_tracestate_set(out, sizeof out, &set_len, (loom_str){text, len}, STR("loom"), STR("x")));
    const loom_str set = {out, set_len};
    assert_status(LOOM_OK, loom_tracestate_check(set));
    loom_str value;
    assert_status(LOOM_OK, loom_tracestate_get(&value, set, STR("k30")));
    assert_status(LOOM_ENOTFOUND, loom_tracestate_get(&value, set, STR("k31")));
    assert_memory_equal("loom=x,k00=1,", out, 13);
}

static void get_borrows_the_value_of_a_key(void **state)
{
    (void)state;
    loom_str value;
    assert_status(LOOM_OK, loom_tracestate_get(&value, STR("rojo=00f0, congo=  t61 "), STR("congo")));
    assert_str("  t61", value);
    assert_status(LOOM_ENOTFOUND, loom_tracestate_get(&value, STR("rojo=00f0"), STR("roj")));
    assert_str("", value);
    assert_status(LOOM_EMALFORMED, loom_tracestate_get(&value, STR("rojo=00f0,x"), STR("rojo")));
    assert_str("", value);
}

static void remove_takes_one_member_out(void **state)
{
    (void)state;
    size_t len;
    assert_status(LOOM_OK, loom_tracestate_remove(out, sizeof out, &len, STR("a=1, b=2,c=3"), STR("b")));
    assert_str("a=1,c=3", ((loom_str){out, len}));
    assert_status(LOOM_OK, loom_tracestate_remove(out, sizeof out, &len, STR("a=1"), STR("a")));
    assert_int_equal(0, len);
    assert_status(LOOM_OK, loom_tracestate_remove(out, sizeof out, &len, STR("a=1"), STR("z")));
    assert_str("a=1", ((loom_str){out, len}));
    assert_status(LOOM_EINVAL, loom_tracestate_remove(out, sizeof out, &len, STR("a=1"), STR("A")));
}

static void a_key_or_value_off_the_grammar_cannot_be_set(void **state)
{
    (void)state;
    size_t len = 1;
    assert_status(LOOM_EINVAL, loom_tracestate_set(out, sizeof out, &len, STR("a=1"), STR("Loom"), STR("1")));
    assert_int_equal(0, len);
    assert_status(LOOM_EINVAL, loom_tracestate_set(out, sizeof out, &len, STR("a=1"), STR("loom"), STR("")));
    assert_status(LOOM_EINVAL, loom_tracestate_set(out, sizeof out, &len, STR("a=1"), STR("loom"), STR("1,b=2")));
    assert_status(LOOM_EINVAL, loom_tracestate_set(out, sizeof out, &len, STR("a=1"), STR("loom"), STR("x\n")));
    assert_status(LOOM_EMALFORMED, loom_tracestate_set(out, sizeof out, &len, STR("a"), STR("loom"), STR("1")));
}

static void a_buffer_too_small_is_left_untouched(void **state)
{
    (void)state;
    char small[8] = "-------";
    size_t len = 1;
    assert_status(LOOM_ETOOBIG, loom_tracestate_set(small, 5, &len, STR("a=1"), STR("b"), STR("2")));
    assert_int_equal(0, len);
    assert_string_equal("-------", small);
    assert_status(LOOM_OK, loom_tracestate_set(small, 7, &len, STR("a=1"), STR("b"), STR("2")));
    assert_memory_equal("b=2,a=1", small, 7);
}

/* A member of size characters. */
static size_t put_member(char *to, const char *key, size_t size)
{
    const size_t key_len = strlen(key);
    memcpy(to, key, key_len);
    to[key_len] = '=';
    memset(to + key_len + 1, 'v', size - key_len - 1);
    return size;
}

/* A tracestate of members a, b, c … of these sizes; sizes end with 0. */
static loom_str text_of_sizes(char *to, const size_t *sizes)
{
    size_t len = 0;
    for (size_t i = 0; sizes[i] != 0; i++) {
        if (i > 0) {
            to[len++] = ',';
        }
        len += put_member(to + len, (char[]){(char)('a' + i), '\0'}, sizes[i]);
    }
    return (loom_str){to, len};
}

/* The keys left after truncation, in order. */
static void assert_truncated(const char *expected_keys, const size_t *sizes, size_t max)
{
    char text[4096];
    size_t len;
    assert_status(LOOM_OK, loom_tracestate_truncate(out, sizeof out, &len, text_of_sizes(text, sizes), max));
    assert_true(len <= max);
    char keys[LOOM_TRACESTATE_MAX_MEMBERS + 1];
    size_t count = 0;
    loom_str rest = {out, len};
    for (loom_tracestate_member member; loom_tracestate_next(&rest, &member) == LOOM_OK;) {
        keys[count++] = member.key.data[0];
    }
    keys[count] = '\0';
    assert_string_equal(expected_keys, keys);
}

static void truncation_takes_members_over_128_characters_first(void **state)
{
    (void)state;
    assert_truncated("abc", (const size_t[]){100, 100, 100, 0}, 512);
    assert_truncated("acd", (const size_t[]){100, 200, 100, 120, 0}, 512);
    assert_truncated("acde", (const size_t[]){129, 200, 100, 100, 100, 0}, 512); /* b suffices, a may stay */
    assert_truncated("cd", (const size_t[]){200, 200, 128, 128, 0}, 300);
}

static void truncation_then_takes_members_from_the_right(void **state)
{
    (void)state;
    assert_truncated("abcd", (const size_t[]){100, 100, 100, 100, 128, 0}, 512);
    assert_truncated("a", (const size_t[]){100, 100, 100, 0}, 200); /* the comma counts */
    assert_truncated("ab", (const size_t[]){100, 100, 100, 0}, 201);
    assert_truncated("", (const size_t[]){100, 100, 0}, 99);
    assert_truncated("", (const size_t[]){250, 0}, 249);
}

static void the_largest_tracestate_fits_the_buffer(void **state)
{
    (void)state;
    static char text[LOOM_TRACESTATE_BUFFER_SIZE];
    size_t len = 0;
    for (unsigned i = 0; i < LOOM_TRACESTATE_MAX_MEMBERS; i++) {
        if (i > 0) {
            text[len++] = ',';
        }
        char key[LOOM_TRACESTATE_MAX_KEY + 1];
        snprintf(key, sizeof key, "%0256u", i);
        len += put_member(text + len, key, LOOM_TRACESTATE_MAX_KEY + 1 + LOOM_TRACESTATE_MAX_VALUE);
    }
    assert_int_equal(sizeof text, len);
    size_t same;
    assert_status(LOOM_OK, loom_tracestate_truncate(out, sizeof out, &same, (loom_str){text, len}, len));
    assert_int_equal(len, same);
    assert_memory_equal(text, out, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_set_goes_leftmost_and_its_older_member_goes_away),
        cmocka_unit_test(white_space_and_empty_members_are_not_passed_on),
        cmocka_unit_test(setting_a_33rd_member_drops_the_rightmost),
        cmocka_unit_test(get_borrows_the_value_of_a_key),
        cmocka_unit_test(remove_takes_one_member_out),
        cmocka_unit_test(a_key_or_value_off_the_grammar_cannot_be_set),
        cmocka_unit_test(a_buffer_too_small_is_left_untouched),
        cmocka_unit_test(truncation_takes_members_over_128_characters_first),
        cmocka_unit_test(truncation_then_takes_members_from_the_right),
        cmocka_unit_test(the_largest_tracestate_fits_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
