/* SPDX-License-Identifier: Apache-2.0 */
/* baggage against the W3C Baggage recommendation, section 3.3, and the cases of the W3C's own tests (test/test_baggage.py
 * of github.com/w3c/baggage). */
#include <loom/baggage.h>

#include "tests/support/check.h"

typedef struct vector {
    const char *clause;
    const char *text;
    const char *members; /* of each: key=value, then ;property or ;property=value, then | */
    const char *written; /* NULL: as text */
    size_t dropped;
} vector;

/* The value of the W3C's test_parse_percent_encoded, as Python's quote() writes it, and as it is. */
#define QUOTED "%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29"
#define UNQUOTED "\t \"';=asdf!@#$%^&*()"

static const vector vectors[] = {
    /* What the specification shows and says. */
    {"3.3.3 example", "key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue",
     "key1=value1;property1;property2|key2=value2|key3=value3;propertyKey=propertyValue|",
     "key1=value1;property1;property2,key2=value2,key3=value3;propertyKey=propertyValue", 0},
    {"3.4 example", "userId=alice,serverNode=DF%2028,isProduction=false",
     "userId=alice|serverNode=DF 28|isProduction=false|", NULL, 0},
    {"3.4 example", "serverNode = DF%2028, isProduction = false", "serverNode=DF 28|isProduction=false|",
     "serverNode=DF%2028,isProduction=false", 0},
    {"3.3.1.1 keys may come twice, in their order", "a=1,b=2,a=3", "a=1|b=2|a=3|", NULL, 0},
    {"3.3.1.2 every token character", "!#$%&'*+-.^_`|~09AZaz=1", "!#$%&'*+-.^_`|~09AZaz=1|", NULL, 0},
    {"3.3.1.2 keys are not decoded", "a%20b=1", "a%20b=1|", NULL, 0},
    {"3.3.1.2 case matters", "k=1,K=2", "k=1|K=2|", NULL, 0},
    {"3.3.1.3 an empty value", "a=,b= ;p", "a=|b=;p|", "a=,b=;p", 0},
    {"3.3.1.3 percent-encoded UTF-8", "a=%C3%A9%e2%98%83", "a=\xc3\xa9\xe2\x98\x83|", NULL, 0},
    {"3.3.1.3 plus is plus", "a=1+1", "a=1+1|", NULL, 0},
    {"3.3.1.3 not UTF-8 reads as U+FFFD", "a=%ff,b=x%C3y", "a=\xef\xbf\xbd|b=x\xef\xbf\xbdy|", NULL, 0},
    {"3.3.1.3 one U+FFFD for each maximal subpart", "a=%e2%98%f0%9f%a7!%80", "a=\xef\xbf\xbd\xef\xbf\xbd!\xef\xbf\xbd|",
     NULL, 0},
    {"3.3.1.3 a percent sign alone", "a=%,b=%4,c=%zz,d=100%25", "a=%|b=%4|c=%zz|d=100%|", NULL, 0},
    {"3.3.1.3 octets refused in a value", "a=\"q\",b=x y,c=back\\slash,d=\xc3\xa9,e=\x01,f=ok", "f=ok|", "f=ok", 5},
    {"3.3.1 no equals sign", "a,b;p=q,c=1", "c=1|", "c=1", 2},
    {"3.3.1 no key", "=1,c=1", "c=1|", "c=1", 1},
    {"3.3.1 a key that is no token", "a b=1,a@b=2,(c)=3,\xc3\xa9=4,c=1", "c=1|", "c=1", 4},
    /* a property that is none costs the member neither its value nor its other properties */
    {"3.3.1.4 a property without key", "a=1;,b=2;=x,c=3;;p,d=4", "a=1|b=2|c=3;p|d=4|", "a=1,b=2,c=3;p,d=4", 0},
    {"3.3.1.4 property keys and values", "a=1;b c,d=2;q;e=\"x\",f=3;g=h=i", "a=1|d=2;q|f=3;g=h=i|", "a=1,d=2;q,f=3;g=h=i", 0},
    {"3.3.1.4 what follows the semicolon is no value", "tenant_id=foo;DROP TABLE users", "tenant_id=foo|", "tenant_id=foo", 0},
    {"3.3.1 an invalid value is not saved by its properties", "a=x y;p,b=1", "b=1|", "b=1", 1},
    {"RFC 9110, 5.6.1.2 empty members", ",, a=1 ,\t, b=2,", "a=1|b=2|", "a=1,b=2", 0},
    {"3.3.1 nothing", "", "", NULL, 0},
    {"3.3.1 white space alone", " \t", "", "", 0},
    /* The tests of the W3C. */
    {"test_parse_simple", "SomeKey=SomeValue", "SomeKey=SomeValue|", NULL, 0},
    {"test_parse_multiple", "SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp=PropVal",
     "SomeKey=SomeValue;SomeProp|SomeKey2=SomeValue2;ValueProp=PropVal|", NULL, 0},
    {"test_parse_multiple_ows",
     "SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2 \t = \t SomeValue2 \t ; \t ValueProp \t = \t PropVal",
     "SomeKey=SomeValue;SomeProp|SomeKey2=SomeValue2;ValueProp=PropVal|",
     "SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp=PropVal", 0},
    {"test_parse_multiple_equals", "SomeKey=SomeValue=equals", "SomeKey=SomeValue=equals|", NULL, 0},
    {"test_parse_percent_encoded", "SomeKey=" QUOTED, "SomeKey=" UNQUOTED "|", NULL, 0},
    {"test_parse_percent_encoded_ows", "SomeKey \t = \t " QUOTED " \t ", "SomeKey=" UNQUOTED "|", "SomeKey=" QUOTED, 0},
    {"test_parse_multi_property", "SomeKey=SomeValue;SomeProp;SecondProp=PropValue",
     "SomeKey=SomeValue;SomeProp;SecondProp=PropValue|", NULL, 0},
    {"test_parse_multi_property_ows", "SomeKey \t = \t SomeValue \t ; \t SomeProp \t ; \t SecondProp \t = \t PropValue",
     "SomeKey=SomeValue;SomeProp;SecondProp=PropValue|", "SomeKey=SomeValue;SomeProp;SecondProp=PropValue", 0},
};

static size_t put(char *out, size_t len, loom_str text)
{
    if (text.len > 0) {
        memcpy(out + len, text.data, text.len);
    }
    return len + text.len;
}

static size_t describe(char *out, const loom_baggage *b)
{
    size_t len = 0;
    for (size_t i = 0; i < loom_baggage_count(b); i++) {
        const loom_baggage_member *m = loom_baggage_at(b, i);
        len = put(out, put(out, put(out, len, m->key), STR("=")), m->value);
        for (size_t p = 0; p < m->property_count; p++) {
            len = put(out, put(out, len, STR(";")), m->properties[p].key);
            if (m->properties[p].has_value) {
                len = put(out, put(out, len, STR("=")), m->properties[p].value);
            }
        }
        len = put(out, len, STR("|"));
    }
    return len;
}

static void each_vector_is_read_as_its_clause_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const vector *v = &vectors[i];
        loom_baggage *b;
        size_t dropped;
        assert_status(LOOM_OK, loom_baggage_parse(&b, str_of(v->text), &dropped));
        char read[1024];
        const size_t len = describe(read, b);
        if (strlen(v->members) != len || memcmp(v->members, read, len) != 0 || dropped != v->dropped) {
            fail_msg("%s: \"%s\" was read as \"%.*s\", %zu dropped", v->clause, v->text, (int)len, read, dropped);
        }
        assert_str(v->written != NULL ? v->written : v->text, loom_baggage_text(b));
        loom_baggage_unref(b);
    }
}

/* LimitsTest of the W3C's tests: a platform must propagate at least that much. */
static void sixty_four_members_are_propagated(void **state)
{
    (void)state;
    char text[2048];
    size_t len = 0;
    for (unsigned i = 0; i < 64; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%skey%u=value", i > 0 ? "," : "", i);
    }
    loom_baggage *b;
    assert_status(LOOM_OK, loom_baggage_parse(&b, (loom_str){text, len}, NULL));
    assert_int_equal(64, loom_baggage_count(b));
    assert_str(text, loom_baggage_text(b));
    loom_baggage_unref(b);
}

static void a_baggage_string_of_8192_bytes_is_propagated(void **state)
{
    (void)state;
    static char text[8193] = "a=";
    for (size_t i = 2; i < 8192; i++) {
        text[i] = (char)('0' + (i - 2) % 10);
    }
    loom_baggage *b;
    assert_status(LOOM_OK, loom_baggage_parse(&b, str_of(text), NULL));
    assert_str(text, loom_baggage_text(b));
    loom_baggage_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_is_read_as_its_clause_says),
        cmocka_unit_test(sixty_four_members_are_propagated),
        cmocka_unit_test(a_baggage_string_of_8192_bytes_is_propagated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
