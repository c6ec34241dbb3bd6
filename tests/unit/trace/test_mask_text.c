/* SPDX-License-Identifier: Apache-2.0 */
/* What masking finds in a text, and what it leaves alone. */
#include "tests/support/check.h"
#include "trace/pipeline/mask_text.h"

#include <stdlib.h>

typedef struct masked {
    char text[1024];
    loom_str from;
    size_t len, copied;
} masked;

static void append(masked *m, const char *data, size_t len)
{
    assert_true(m->len + len < sizeof m->text);
    if (len > 0) {
        memcpy(m->text + m->len, data, len);
    }
    m->len += len;
    m->text[m->len] = '\0';
}

static void on_found(void *user, size_t from, size_t to, const char *replacement)
{
    masked *m = user;
    assert_true(from >= m->copied && from < to && to <= m->from.len);
    append(m, m->from.data + m->copied, from - m->copied);
    append(m, replacement, strlen(replacement));
    m->copied = to;
}

static const char *mask_with(const mask_rules *rules, masked *m, const char *text)
{
    *m = (masked){.from = str_of(text)};
    mask_scan(rules, m->from, on_found, m);
    append(m, text + m->copied, m->from.len - m->copied);
    return m->text;
}

typedef struct vector {
    const char *text, *masked; /* masked NULL: left as it is */
} vector;

static void check_all(const vector *vectors, size_t count)
{
    const mask_rules all = {.kinds = LOOM_MASK_ALL};
    masked m;
    for (size_t i = 0; i < count; i++) {
        const char *expected = vectors[i].masked != NULL ? vectors[i].masked : vectors[i].text;
        if (strcmp(mask_with(&all, &m, vectors[i].text), expected) != 0) {
            fail_msg("\"%s\"\n  became \"%s\"\n  expected \"%s\"", vectors[i].text, m.text, expected);
        }
    }
}
#define CHECK(vectors) check_all((vectors), sizeof(vectors) / sizeof *(vectors))

static void mail_addresses_are_masked(void **state)
{
    (void)state;
    static const vector vectors[] = {
        {"alice@example.com", "[mail]"},
        {"from alice.b+news@mail.example.co.uk.", "from [mail]."},
        {"<alice@example.com>, bob_1@ex-ample.org", "<[mail]>, [mail]"},
        {"?user=alice%40example.com&x=1", "?user=[mail]&x=1"},
        {"j\xc3\xb6rg@b\xc3\xbc" "cher.example", "[mail]"},
        {"mailto:alice@example.com", "mailto:[mail]"},
        {"alice@localhost", NULL},
        {"@alice", NULL},
        {"alice@", NULL},
        {"@scope/package@1.2.3", NULL},
        {"image@sha256:0123456789abcdef", NULL},
        {"a @ b.com", NULL},
        {"x@.com", NULL},
        {"x@example.c0m", NULL},
    };
    CHECK(vectors);
}

static void cards_are_masked_when_their_digits_are_right(void **state)
{
    (void)state;
    static const vector vectors[] = {
        {"4111111111111111", "[card]"},
        {"card 4111 1111 1111 1111 exp 12/27", "card [card] exp 12/27"},
        {"5500-0000-0000-0004", "[card]"},
        {"3782 822463 10005", "[card]"},
        {"378282246310005", "[card]"},
        {"2223003122003222", "[card]"},
        {"6011111111111117,3530111333300000", "[card],[card]"},
        {"30569309025904", "[card]"},
        {"4111111111111112", NULL},     /* check digit */
        {"1234567812345670", NULL},     /* right, but of no issuer */
        {"4111-1111 1111-1111", NULL},  /* not how cards are written */
        {"SKU-4111111111111111", NULL},
        {"4111111111111111-7", NULL},
        {"v4111111111111111", NULL},
        {"4006381333931", NULL},        /* EAN-13 */
        {"1764351622123456", NULL},     /* microseconds */
        {"1764351622123456789", NULL},  /* nanoseconds */
        {"20261128174022", NULL},
        {"41111111111111111111111111111111", NULL},
    };
    CHECK(vectors);
}

static void phone_numbers_are_masked_in_the_ways_they_are_written(void **state)
{
    (void)state;
    static const vector vectors[] = {
        {"+14155552671", "[phone]"},
        {"call +49 (0)30 123-4567 now", "call [phone] now"},
        {"+1 (415) 555-2671, +33 6 12 34 56 78", "[phone], [phone]"},
        {"(415) 555-2671", "[phone]"},
        {"415-555-2671", "[phone]"},
        {"1-415-555-2671", "[phone]"},
        {"415.555.2671", "[phone]"},
        {"030 1234567", "[phone]"},
        {"030/1234567", "[phone]"},
        {"020 7946 0958", "[phone]"},
        {"06 12 34 56 78", "[phone]"},
        {"+14155552671 2026-11-28", "[phone] 2026-11-28"},
        {"1764351622", NULL},           /* seconds since the epoch */
        {"4155552671", NULL},
        {"115-555-2671", NULL},         /* no area begins with 1 */
        {"2026-11-28T17:40:22+01:00", NULL},
        {"2026-11-28 17:40:22.123456+0100", NULL},
        {"01/02/2026 12", NULL},
        {"1e+10", NULL},
        {"x+1234567890", NULL},
        {"00 01 02 03 04 05", NULL},
        {"01 02 03 04 05 06 07", NULL},
        {"0-306-40615-2", NULL},        /* ISBN */
        {"978-3-16-148410-0", NULL},
        {"(1764351622)", NULL},
        {"f(415)", NULL},
    };
    CHECK(vectors);
}

static void national_ids_are_masked_when_they_can_have_been_issued(void **state)
{
    (void)state;
    static const vector vectors[] = {
        {"ssn 123-45-6789.", "ssn [id]."},
        {"NI: AB 12 34 56 C", "NI: [id]"},
        {"1 85 05 78 006 084 91", "[id]"},
        {"185057800608491", "[id]"},
        {"000-45-6789", NULL},
        {"666-45-6789", NULL},
        {"900-45-6789", NULL},
        {"123-00-6789", NULL},
        {"123-45-0000", NULL},
        {"123-45-67890", NULL},
        {"1123-45-6789", NULL},
        {"A-123-45-6789", NULL},
        {"123-45-6789-1", NULL},
        {"123456789", NULL},
        {"AB123456C", NULL},
        {"GB 12 34 56 C", NULL},
        {"AB 12 34 56 E", NULL},
        {"185057800608492", NULL},
    };
    CHECK(vectors);
}

#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"

static void tokens_are_masked_by_how_they_begin(void **state)
{
    (void)state;
    static const vector vectors[] = {
        {"Bearer abc123DEF456", "Bearer [token]"},
        {"sent bearer abcdefgh1", "sent bearer [token]"},
        {"Basic dXNlcjpwYXNz", "Basic [token]"},
        {JWT, "[token]"},
        {"id " JWT " ok", "id [token] ok"},
        {"sk-abcdefghijklmnopqrst1", "[token]"},
        {"key ghp_0123456789abcdefghijABCDEFGHIJ012345", "key [token]"},
        {"AKIAIOSFODNN7EXAMPLE", "[token]"},
        {"https://ghp_0123456789abcdefghijABCDEFGHIJ012345@github.com/x", "https://[token]@github.com/x"},
        {"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- after", "[token] after"},
        {"-----BEGIN PRIVATE KEY-----\nMIIE", "[token]"},
        {"Bearer authentication is required", NULL},
        {"basic understanding", NULL},
        {"sk-learn", NULL},
        {"sk-a-name-that-is-rather-long-indeed", NULL},
        {"eyJust.a.word", NULL},
        {"-----BEGIN CERTIFICATE-----\nMIIE", NULL},
        {"ask-abcdefghijklmnopqrst1", NULL},
    };
    CHECK(vectors);
}

static void passwords_in_urls_are_masked(void **state)
{
    (void)state;
    static const vector vectors[] = {
        {"https://user:secret@host/path", "https://user:[masked]@host/path"},
        {"redis://:hunter2@cache:6379/0", "redis://:[masked]@cache:6379/0"},
        {"jdbc:postgresql://u:p@ss@db:5432/x", "jdbc:postgresql://u:[masked]@db:5432/x"},
        {"postgres://u:pa/ss@host/db", "postgres://u:[masked]@host/db"},
        {"see a://u:p@h and b://v:q@i.", "see a://u:[masked]@h and b://v:[masked]@i."},
        {"ssh://git@github.com/x.git", NULL},
        {"http://host:80/path@example", NULL},
        {"https://host/a:b", NULL},
        {"http://[::1]:4318/v1/traces", NULL},
        {"://", NULL},
    };
    CHECK(vectors);
}

static void pairs_in_text_are_masked_by_their_names(void **state)
{
    (void)state;
    static const vector vectors[] = {
        {"login failed: password=hunter2, user=bob", "login failed: password=[masked], user=bob"},
        {"/x?api_key=abc&page=2#top", "/x?api_key=[masked]&page=2#top"},
        {"/x?access_token=abc", "/x?access_token=[masked]"},
        {"PASSWORD='a b c' done", "PASSWORD='[masked]' done"},
        {"{\"password\": \"a\\\"b\", \"n\": 1}", "{\"password\": \"[masked]\", \"n\": 1}"},
        {"{\"cvv\":123,\"n\":1}", "{\"cvv\":[masked],\"n\":1}"},
        {"{\\\"secret\\\":\\\"x\\\",\\\"a\\\":\\\"b\\\"}", "{\\\"secret\\\":\\\"[masked]\\\",\\\"a\\\":\\\"b\\\"}"},
        {"Authorization: Digest a=b\r\nHost: x", "Authorization: [masked]\r\nHost: x"},
        {"Cookie: sid=1; t=2", "Cookie: [masked]"},
        {"tokens=5 max_tokens=7", NULL},
        {"token_count=5", NULL},
        {"password=", NULL},
        {"wrong password: try again", NULL},
        {"{\"tokens\": 5}", NULL},
        {"monkey=banana", NULL},
        {"=x", NULL},
    };
    CHECK(vectors);
}

static void ordinary_values_are_left_alone(void **state)
{
    (void)state;
    static const vector vectors[] = {
        {"", NULL},
        {"550e8400-e29b-41d4-a716-446655440000", NULL},
        {"12345678-1234-1234-1234-123456789012", NULL},
        {"4bf92f3577b34da6a3ce929d0e0e4736", NULL},
        {"00f067aa0ba902b7", NULL},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL},
        {"192.168.100.200:65535", NULL},
        {"2001:db8::8a2e:370:7334", NULL},
        {"00:1A:2B:3C:4D:5E", NULL},
        {"1.24.3-rc.1+build.20261128", NULL},
        {"10.0.19045.3930", NULL},
        {"SKU 12345-678-90", NULL},
        {"0 36000 29145 2", NULL},
        {"SELECT * FROM t WHERE id = 1234567890", NULL},
        {"3.14159265358979", NULL},
        {"/usr/lib/x86_64-linux-gnu/libc.so.6", NULL},
        {"GET /users/1234567890/orders", NULL},
        {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)", NULL},
        {"agent.sensor-1.replies", NULL},
        {"12,345,678,901,234", NULL},
    };
    CHECK(vectors);
}

static void keys_name_secrets_by_their_words(void **state)
{
    (void)state;
    static const char *const secret[] = {
        "password", "user.password", "userPassword", "DB_PASSWORD", "client_secret", "secrets", "api_key", "apiKey", "x-api-key",
        "http.request.header.authorization", "http.request.header.cookie", "set-cookie", "access_token", "token", "auth.token",
        "aws.secret_access_key", "private_key", "card.number", "social_security_number", "ssn", "cvv", "credentials",
    };
    static const char *const plain[] = {
        "", ".", "tokens", "tokens.input", "gen_ai.usage.input_tokens", "gen_ai.request.max_tokens", "token_count", "token.type",
        "token.count", "key", "messaging.kafka.message.key", "foreign_key", "k8s.secret.name", "password.length", "secret.id",
        "cookie.enabled", "compass", "passwordless", "author", "authority", "user.name", "messaging.message.id", "topic",
        "event_id", "thread_id", "session.id", "keyboard",
    };
    const mask_rules all = {.kinds = LOOM_MASK_ALL};
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++) {
        if (!mask_key(&all, str_of(secret[i]))) {
            fail_msg("%s is not masked", secret[i]);
        }
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (mask_key(&all, str_of(plain[i]))) {
            fail_msg("%s is masked", plain[i]);
        }
    }
}

static void kinds_that_are_not_asked_for_are_left_alone(void **state)
{
    (void)state;
    static const char text[] = "a@b.org +14155552671 4111111111111111 123-45-6789 Bearer abc123DEF456 x://u:p@h password=y";
    static const struct {
        unsigned kind;
        const char *masked;
    } vectors[] = {
        {LOOM_MASK_MAIL, "[mail] +14155552671 4111111111111111 123-45-6789 Bearer abc123DEF456 x://u:p@h password=y"},
        {LOOM_MASK_PHONE, "a@b.org [phone] 4111111111111111 123-45-6789 Bearer abc123DEF456 x://u:p@h password=y"},
        {LOOM_MASK_CARD, "a@b.org +14155552671 [card] 123-45-6789 Bearer abc123DEF456 x://u:p@h password=y"},
        {LOOM_MASK_NATIONAL_ID, "a@b.org +14155552671 4111111111111111 [id] Bearer abc123DEF456 x://u:p@h password=y"},
        {LOOM_MASK_TOKEN, "a@b.org +14155552671 4111111111111111 123-45-6789 Bearer [token] x://u:p@h password=y"},
        {LOOM_MASK_URL, "a@b.org +14155552671 4111111111111111 123-45-6789 Bearer abc123DEF456 x://u:[masked]@h password=y"},
        {LOOM_MASK_KEYS, "a@b.org +14155552671 4111111111111111 123-45-6789 Bearer abc123DEF456 x://u:p@h password=[masked]"},
    };
    masked m;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const mask_rules rules = {.kinds = vectors[i].kind};
        assert_string_equal(vectors[i].masked, mask_with(&rules, &m, text));
    }
}

static void in_order(void *user, size_t from, size_t to, const char *replacement)
{
    size_t *end = user;
    (void)replacement;
    assert_true(from >= *end && to > from);
    *end = to;
}

/* Repetitions that would make a scanner start over at every place. A quadratic one would take minutes for 256 KiB, far beyond
 * the test's time. */
static void no_text_takes_more_than_linear_time(void **state)
{
    (void)state;
    static const char *const pieces[] = {"eyJ-", "eyJaaaaaaaa.", "sk-", "a://", "a://b:c", "@", "a@b", "a@b.", "1-", "+1", "(415)", "-----BEGIN ",
                                         "\"a\":", "password", "=", "Bearer ", "bearer a", "\\\"", "%40", "1 ", "0 12 ", "cookie:", "://:"};
    const mask_rules all = {.kinds = LOOM_MASK_ALL};
    char *text = malloc(256 * 1024);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        const size_t n = strlen(pieces[i]);
        size_t len = 0;
        for (; len + n <= 256 * 1024; len += n) {
            memcpy(text + len, pieces[i], n);
        }
        size_t end = 0;
        mask_scan(&all, (loom_str){text, len}, in_order, &end);
        assert_true(end <= len);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_addresses_are_masked),
        cmocka_unit_test(cards_are_masked_when_their_digits_are_right),
        cmocka_unit_test(phone_numbers_are_masked_in_the_ways_they_are_written),
        cmocka_unit_test(national_ids_are_masked_when_they_can_have_been_issued),
        cmocka_unit_test(tokens_are_masked_by_how_they_begin),
        cmocka_unit_test(passwords_in_urls_are_masked),
        cmocka_unit_test(pairs_in_text_are_masked_by_their_names),
        cmocka_unit_test(ordinary_values_are_left_alone),
        cmocka_unit_test(keys_name_secrets_by_their_words),
        cmocka_unit_test(kinds_that_are_not_asked_for_are_left_alone),
        cmocka_unit_test(no_text_takes_more_than_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
