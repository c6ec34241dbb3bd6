/* SPDX-License-Identifier: Apache-2.0 */
/* tracestate against W3C Trace Context level 2, section 3.3, and the cases of the W3C's own test suite (test/test.py of
 * github.com/w3c/trace-context at strictness 2, named here without their common prefix test_tracestate_; several header
 * fields are joined by commas, as RFC 9110, 5.3 says). Where the suite still tests the key grammar of level 1,
 * level 2 decides; those cases are marked. */
#include <loom/tracestate.h>

#include "tests/support/check.h"

typedef struct vector {
    const char *clause;
    const char *text;
    const char *members; /* "key=value|" of each; NULL: the whole is refused */
} vector;

#define Z64 "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"
#define Z256 Z64 Z64 Z64 Z64
#define T241 Z64 Z64 Z64 "ttttttttttttttttttttttttttttttttttttttttttttttttt"
#define KEY_CHARS "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
#define VALUE_CHARS                                                                                    \
    " !\"#$%&'()*+-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
#define BAR_01_TO_30                                                                             \
    "bar01=01,bar02=02,bar03=03,bar04=04,bar05=05,bar06=06,bar07=07,bar08=08,bar09=09,bar10=10," \
    "bar11=11,bar12=12,bar13=13,bar14=14,bar15=15,bar16=16,bar17=17,bar18=18,bar19=19,bar20=20," \
    "bar21=21,bar22=22,bar23=23,bar24=24,bar25=25,bar26=26,bar27=27,bar28=28,bar29=29,bar30=30"
#define BAR_01_TO_30_READ                                                                        \
    "bar01=01|bar02=02|bar03=03|bar04=04|bar05=05|bar06=06|bar07=07|bar08=08|bar09=09|bar10=10|" \
    "bar11=11|bar12=12|bar13=13|bar14=14|bar15=15|bar16=16|bar17=17|bar18=18|bar19=19|bar20=20|" \
    "bar21=21|bar22=22|bar23=23|bar24=24|bar25=25|bar26=26|bar27=27|bar28=28|bar29=29|bar30=30|"

static const vector vectors[] = {
    /* What the specification shows and says. */
    {"3.3.2, example 1", "rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7|"},
    {"3.3.2, example 2", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7|congo=t61rcWkgMzE|"},
    {"3.3.1 empty members are allowed", ",,a=1, ,\t,b=2,", "a=1|b=2|"},
    {"3.3.1 the empty field is accepted", " \t ", ""},
    {"3.3.1 empty members do not count", BAR_01_TO_30 ",bar31=31,,,,bar32=32,", BAR_01_TO_30_READ "bar31=31|bar32=32|"},
    {"3.3.1.3.1 a digit first", "1a-2=x,0=y", "1a-2=x|0=y|"},
    {"3.3.1.3.1 a tenant", "fw529a3039@dt=FfYn", "fw529a3039@dt=FfYn|"},
    {"3.3.1.3.1 a sign first", "_a=1", NULL},
    {"3.3.1.3.1 no key", "=1", NULL},
    {"3.3.1.3 no equals sign", "foobarbaz", NULL},
    {"3.3.1.3 no equals sign", "a=1,b", NULL},
    {"3.3.1.3.2 leading spaces belong to the value", "a=  1", "a=  1|"},
    {"3.3.1.3.2 inner spaces too", "a=1 2", "a=1 2|"},
    {"3.3.1.3.2 nothing but spaces", "a=  ,b=1", NULL},
    {"3.3.1.3.2 a tab inside", "a=1\t2", NULL},
    {"3.3.1.3.2 a control character", "a=\x01", NULL},
    {"3.3.1.3.2 DEL", "a=\x7f", NULL},
    {"3.3.1.3.2 not ASCII", "a=\xc3\xa9", NULL},
    {"3.3.1.3.2 256 characters", "a=" Z256, "a=" Z256 "|"},
    {"3.3.1.3.2 257 characters", "a=" Z256 "z", NULL},
    {"3.3.1.4 one entry per key", "congo=first,rojo=1,congo=second", "congo=first|rojo=1|congo=second|"},
    /* The test suite of the W3C. */
    {"included_traceparent_included", "foo=1,bar=2", "foo=1|bar=2|"},
    {"empty_header", "", ""},
    {"empty_header", "foo=1,", "foo=1|"},
    {"empty_header", ",foo=1", "foo=1|"},
    {"multiple_headers_different_keys", "foo=1,bar=2,rojo=1,congo=2,baz=3", "foo=1|bar=2|rojo=1|congo=2|baz=3|"},
    {"duplicated_keys", "foo=1,foo=1", "foo=1|foo=1|"},
    {"duplicated_keys", "foo=1,foo=2", "foo=1|foo=2|"},
    {"all_allowed_characters", KEY_CHARS "=" VALUE_CHARS, KEY_CHARS "=" VALUE_CHARS "|"},
    {"all_allowed_characters", KEY_CHARS "@a-z0-9_-*/=" VALUE_CHARS, KEY_CHARS "@a-z0-9_-*/=" VALUE_CHARS "|"},
    {"ows_handling", "foo=1 \t , \t bar=2, \t baz=3", "foo=1|bar=2|baz=3|"},
    {"ows_handling", "foo=1\t \t,\t \tbar=2,\t \tbaz=3", "foo=1|bar=2|baz=3|"},
    {"ows_handling", " foo=1", "foo=1|"},
    {"ows_handling", "\tfoo=1", "foo=1|"},
    {"ows_handling", "foo=1 ", "foo=1|"},
    {"ows_handling", "foo=1\t", "foo=1|"},
    {"ows_handling", "\t foo=1 \t", "foo=1|"},
    {"key_illegal_characters", "foo =1", NULL},
    {"key_illegal_characters", "FOO=1", NULL},
    {"key_illegal_characters", "foo.bar=1", NULL},
    {"key_illegal_vendor_format", "@foo=1,bar=2", NULL},
    {"key_illegal_vendor_format, allowed by level 2", "foo@=1,bar=2", "foo@=1|bar=2|"},
    {"key_illegal_vendor_format, allowed by level 2", "foo@@bar=1,bar=2", "foo@@bar=1|bar=2|"},
    {"key_illegal_vendor_format, allowed by level 2", "foo@bar@baz=1,bar=2", "foo@bar@baz=1|bar=2|"},
    {"member_count_limit", BAR_01_TO_30 ",bar31=31,bar32=32", BAR_01_TO_30_READ "bar31=31|bar32=32|"},
    {"member_count_limit", BAR_01_TO_30 ",bar31=31,bar32=32,bar33=33", NULL},
    {"key_length_limit", "foo=1," Z256 "=1", "foo=1|" Z256 "=1|"},
    {"key_length_limit", "foo=1," Z256 "z=1", NULL},
    {"key_length_limit", "foo=1," T241 "@vvvvvvvvvvvvvv=1", "foo=1|" T241 "@vvvvvvvvvvvvvv=1|"},
    {"key_length_limit, allowed by level 2", "foo=1,t" T241 "@v=1", "foo=1|t" T241 "@v=1|"},
    {"key_length_limit, allowed by level 2", "foo=1,t@vvvvvvvvvvvvvvv=1", "foo=1|t@vvvvvvvvvvvvvvv=1|"},
    {"value_illegal_characters", "foo=bar=baz", NULL},
    {"value_illegal_characters", "foo=,bar=3", NULL},
};

static void each_vector_is_read_or_refused_as_its_clause_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const vector *v = &vectors[i];
        const loom_status status = loom_tracestate_check(str_of(v->text));
        if (status != (v->members == NULL ? LOOM_EMALFORMED : LOOM_OK)) {
            fail_msg("%s: \"%s\" gave LOOM_%s", v->clause, v->text, loom_status_name(status));
        }
        if (v->members == NULL) {
            continue;
        }
        char read[2048];
        size_t len = 0;
        loom_str rest = str_of(v->text);
        for (loom_tracestate_member m; loom_tracestate_next(&rest, &m) == LOOM_OK;) {
            len += (size_t)snprintf(read + len, sizeof read - len, "%.*s=%.*s|", (int)m.key.len, m.key.data,
                                    (int)m.value.len, m.value.data);
        }
        if (strlen(v->members) != len || memcmp(v->members, read, len) != 0) {
            fail_msg("%s: \"%s\" was read as \"%.*s\"", v->clause, v->text, (int)len, read);
        }
    }
}

static void members_before_a_fault_do_not_survive_it(void **state)
{
    (void)state;
    loom_str value;
    assert_status(LOOM_EMALFORMED, loom_tracestate_get(&value, STR("foo=1,BAR=2"), STR("foo")));
}

/* 3.3.1.4 allows one entry per key; the suite's duplicated_keys accepts either, and never the loss of both. */
static void of_a_key_that_comes_twice_the_leftmost_is_passed_on(void **state)
{
    (void)state;
    char out[64];
    size_t len;
    loom_str value;
    assert_status(LOOM_OK, loom_tracestate_get(&value, STR("foo=1,foo=2"), STR("foo")));
    assert_str("1", value);
    assert_status(LOOM_OK, loom_tracestate_set(out, sizeof out, &len, STR("foo=1,bar=2,foo=3"), STR("loom"), STR("x")));
    assert_str("loom=x,foo=1,bar=2", ((loom_str){out, len}));
    assert_status(LOOM_OK, loom_tracestate_truncate(out, sizeof out, &len, STR("foo=1,foo=2"), sizeof out));
    assert_str("foo=1", ((loom_str){out, len}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_is_read_or_refused_as_its_clause_says),
        cmocka_unit_test(members_before_a_fault_do_not_survive_it),
        cmocka_unit_test(of_a_key_that_comes_twice_the_leftmost_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
