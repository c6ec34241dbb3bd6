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
    mask_scan(rules, (loom_str){0}, m->from, on_found, m);
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
    unsigned wrong = 0;
    for (size_t i = 0; i < count; i++) {
        const char *expected = vectors[i].masked != NULL ? vectors[i].masked : vectors[i].text;
        if (strcmp(mask_with(&all, &m, vectors[i].text), expected) != 0) {
            print_error("\"%s\"\n  became \"%s\"\n  expected \"%s\"\n", vectors[i].text, m.text, expected);
            wrong++;
        }
    }
    assert_int_equal(0, wrong);
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
        {"alice@163.com", "[mail]"},
        {"x@\xd0\xbf.xn--p1ai", "[mail]"},
        {"icon@2x.png", NULL},
        {"user@1000.service", NULL},
        {"pkg@1.0.beta", NULL},
        {"git@github.com:org/repo.git", NULL},
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
        {"4111.1111.1111.1111", "[card]"},
        {"4111 1111 1111 1111", "[card]"},
        {"4111+1111+1111+1111", "[card]"},
        {"4111%201111%201111%201111", "[card]"},
        {"3782-822463-10005", "[card]"},
        {"3782.822463.10005", "[card]"},
        {"card=4111111111111111-x", "card=[card]-x"},
        {"card=4111-1111-1111-1111-x", "card=[card]-x"},
        {"visa_4111111111111111", "visa_[card]"},
        {"\xe2\x80\x9c" "4111111111111111\xe2\x80\x9d", "\xe2\x80\x9c[card]\xe2\x80\x9d"},
        {"/cards/4111111111111111/charge", "/cards/[card]/charge"},
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
        {"00491701234567", "[phone]"},
        {"0049 30 1234567", "[phone]"},
        {"0049 (0)30 123456", "[phone]"},
        {"?tel=%2B49301234567&x=1", "?tel=[phone]&x=1"},
        {"%2B49%2030%20123456", "[phone]"},
        {"+49 (0) 30 / 123 456", "[phone]"},
        {"+49\xc2\xa0" "30\xc2\xa0" "1234567", "[phone]"},
        {"01.23.45.67.89", "[phone]"},
        {"01-23-45-67-89", "[phone]"},
        {"+33.1.23.45.67.89", "[phone]"},
        {"415 555 2671", "[phone]"},
        {"415 555-2671", "[phone]"},
        {"415/555-2671", "[phone]"},
        {"(415)555-2671", "[phone]"},
        {"(415) 555 2671", "[phone]"},
        {"(020) 7946 0958", "[phone]"},
        {"call (030) 1234567 now", "call [phone] now"},
        {"(030)1234567", "[phone]"},
        {"(0171) 123 45 67", "[phone]"},
        {"(02) 9876 5432", "[phone]"},
        {"tel=(020) 7946-0958", "tel=[phone]"},
        {"phone: (99) 1234567", "phone: [phone]"},
        {"order (020) 7946 0958", NULL},
        {"f(02) 12 34", NULL},
        {"(2026) 7946 0958", NULL},
        {"(020)", NULL},
        {"(020", NULL},
        {"(01) 7946", NULL},
        {"section 01.02.03.04.05", NULL},
        {"+1-415-555-2671", "[phone]"},
        {"1.415.555.2671", "[phone]"},
        {"0171/123 45 67", "[phone]"},
        {"030-1234567", "[phone]"},
        {"01632 960983", "[phone]"},
        {"tel: 4155552671", "tel: [phone]"},
        {"phone=0301234567", "phone=[phone]"},
        {"\"mobile_number\": \"01701234567\"", "\"mobile_number\": \"[phone]\""},
        {"\xe7\x94\xb5\xe8\xaf\x9d+8613800138000\xe3\x80\x82", "\xe7\x94\xb5\xe8\xaf\x9d[phone]\xe3\x80\x82"},
        {"art 01 2024 12345", NULL},
        {"artnr 012 3456 7890", NULL},
        {"Art.-Nr. 020 7946 0958", NULL},
        {"order no: 030 1234567", NULL},
        {"012 3456 7890", NULL},
        {"01 2024 12345", NULL},
        {"sku=0049 30 1234567", NULL},
        {"00001234567890", NULL},
        {"phone verified 2026-11-28", NULL},
        {"phone 2026-11-28", NULL},
        {"+250000000", NULL},
        {"200 300 4000 5000", NULL},
        {"/030/1234567", NULL},
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
        {"ssn 123 45 6789", "ssn [id]"},
        {"SSN 123456789", "SSN [id]"},
        {"social security number 123.45.6789", "social security number [id]"},
        {"ssn: 123 45 6789", "ssn: [masked]"},
        {"AB123456C", "[id]"},
        {"AB 123456 C", "[id]"},
        {"QQ 12 34 56 C", "[id]"}, /* in every example */
        {"AB-12-34-56-C", "[id]"},
        {"NINO ab123456c.", "NINO [id]."},
        {"123 45 6789", NULL},
        {"sku AB123456C", NULL},
        {"ab123456c", NULL},
        {"AB123456C7", NULL},
        {"XAB123456C", NULL},
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
        {"Basic YTpi", "Basic [token]"},
        {"Bearer%20abc123DEF456", "Bearer%20[token]"},
        {"\\nghp_0123456789abcdefghijABCDEFGHIJ012345", "\\n[token]"},
        {"-----BEGIN PGP PRIVATE KEY BLOCK-----\nxx\n-----END PGP PRIVATE KEY BLOCK-----.", "[token]."},
        {"{\"k\":\"-----BEGIN PRIVATE KEY-----\\nMII\\n-----END PRIVATE KEY-----\\n\"}", "{\"k\":\"[token]\\n\"}"},
        {"k\\n-----BEGIN EC PRIVATE KEY-----\\nMII\\n-----END EC PRIVATE KEY-----", "k\\n[token]"},
        {"sk_live_abcdefghijklmnop", "[token]"},
        {"xoxb-1234567890-abcdef", "[token]"},
        {"https://hooks.slack.com/services/T0/B0/abc", "https://hooks.slack.com/services/[token]"},
        {"Basic training 2026", NULL},
        {"basic 1234 plan", NULL},
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
        {"amqp://user:p%40ss@mq", "amqp://user:[masked]@mq"},
        {"x-y+z.1://u:p@h", "x-y+z.1://u:[masked]@h"},
        {"?to=https%3A%2F%2Fu%3Apw%40h%2Fx", "?to=https%3A%2F%2Fu%3A[masked]%40h%2Fx"},
        {"https:\\/\\/u:pw@h\\/x", "https:\\/\\/u:[masked]@h\\/x"},
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
        {"password: hunter2", "password: [masked]"},
        {"wrong password: hunter2 given", "wrong password: [masked] given"},
        {"PASSWORD = 'x'", "PASSWORD = '[masked]'"},
        {"\"password\" : \"x\"", "\"password\" : \"[masked]\""},
        {"{'password': 'x', 'user': 'bob'}", "{'password': '[masked]', 'user': 'bob'}"},
        {"{'password': b'x'}", "{'password': b'[masked]'}"},
        {"User(name='bob', password='it\\'s', n=1)", "User(name='bob', password='[masked]', n=1)"},
        {"map[password:x user:bob]", "map[password:[masked] user:bob]"},
        {"{Password:x User:bob}", "{Password:[masked] User:bob}"},
        {"'password' => 'x', 'a' => 'b'", "'password' => '[masked]', 'a' => 'b'"},
        {"password := \"x\"", "password := \"[masked]\""},
        {"os.environ[\"DB_PASSWORD\"] = \"x\"", "os.environ[\"DB_PASSWORD\"] = \"[masked]\""},
        {"user[password]=x&user[name]=bob", "user[password]=[masked]&user[name]=bob"},
        {"user: bob\npassword: correct horse\nport: 5", "user: bob\npassword: [masked]\nport: 5"},
        {"password: |\n  a\n  b\nport: 5", "password: |\n  [masked]\nport: 5"},
        {"db:\n  password:\n    value: x\n  port: 5", "db:\n  password:\n    [masked]\n  port: 5"},
        {"secrets:\n- a\n- b\nport: 5", "secrets:\n[masked]\nport: 5"},
        {"env:\n- name: DB_PASSWORD\n  value: x\n- name: A\n  value: b", "env:\n- name: DB_PASSWORD\n  value: [masked]\n- name: A\n  value: b"},
        {"{\"name\": \"api_key\", \"value\": \"x\"}", "{\"name\": \"api_key\", \"value\": \"[masked]\"}"},
        {"run --password x --verbose", "run --password [masked] --verbose"},
        {"run --password=x -v", "run --password=[masked] -v"},
        {"run --db-password 'x y' -v", "run --db-password '[masked]' -v"},
        {"[\"--token\", \"x\", \"-v\"]", "[\"--token\", \"[masked]\", \"-v\"]"},
        {"java -Dkey.storePassword=x -jar a", "java -Dkey.storePassword=[masked] -jar a"},
        {"mysql -u root -phunter2 db", "mysql -u root -p[masked] db"},
        {"sshpass -p hunter2 ssh h", "sshpass -p [masked] ssh h"},
        {"curl -u bob:hunter2 http://h", "curl -u bob:[masked] http://h"},
        {"docker login -u bob -p hunter2 h", "docker login -u bob -p [masked] h"},
        {"/o?AWSAccessKeyId=AK&Signature=s%3D&sig=t&v=1", "/o?AWSAccessKeyId=[masked]&Signature=[masked]&sig=[masked]&v=1"},
        {"signature=f(int)", NULL},
        {"password1=x", "password1=[masked]"},
        {"dbpassword=x", "dbpassword=[masked]"},
        {"db_password=x", "db_password=[masked]"},
        {"pass=hunter2", "pass=[masked]"},
        {"Authorization: Basic dXNlcjpwYXNz", "Authorization: [masked]"},
        {"authorization=Basic dXNlcjpwYXNz ok", "authorization=[masked] ok"},
        {"-H 'X-Api-Key: abc' http://h", "-H 'X-Api-Key: [masked]' http://h"},
        {"(\"authorization\", \"Basic x\")", "(\"authorization\", \"[masked]\")"},
        {"{\"password\": {\"value\": \"x\"}, \"n\": 1}", "{\"password\": [masked], \"n\": 1}"},
        {"{\"secrets\": [\"a]\", \"b\"], \"n\": 1}", "{\"secrets\": [masked], \"n\": 1}"},
        {"{\"secrets\": [\"a\"", "{\"secrets\": [masked]"},
        {"{\n\"token\":\n  \"x\"}", "{\n\"token\":\n  \"[masked]\"}"},
        {"%7B%22password%22%3A%22x%22%7D", "%7B%22password%22%3A%22[masked]%22%7D"},
        {"redirect=%2Fa%3Ftoken%3Dabc&b=1", "redirect=%2Fa%3Ftoken%3D[masked]&b=1"},
        {"<user><password>x</password></user>", "<user><password>[masked]</password></user>"},
        {"ALTER USER bob PASSWORD 'x'", "ALTER USER bob PASSWORD '[masked]'"},
        {"IDENTIFIED BY 'x'", "IDENTIFIED BY '[masked]'"},
        {"Server=a;Password=x;Port=1", "Server=a;Password=[masked];Port=1"},
        {"password=a,b;c#d", "password=[masked]"},
        {"API key: abc", "API key: [masked]"},
        {"accessToken=a clientSecret=b privateKey=c", "accessToken=[masked] clientSecret=[masked] privateKey=[masked]"},
        {"token.value=x", "token.value=[masked]"},
        {"password=[masked] [mail]", NULL},
        {"wrong password: try again", NULL},
        {"password: must not be empty", NULL},
        {"(using password: YES)", NULL},
        {"\"password\": null, \"secret\": true", NULL},
        {"password=? and token=$1", NULL},
        {"use --password to log in", NULL},
        {"--password-file /etc/x --no-password y", NULL},
        {"mkdir -p dir && ssh -p 22 h && docker run -p 80:80 i", NULL},
        {"mysql -P 3306 --port 3307", NULL},
        {"Unexpected token: foo", NULL},
        {"expected token: ';'", NULL},
        {"arn:aws:secretsmanager:eu:1:secret:db-x", NULL},
        {"Password::hash", NULL},
        {"pass=3 fail=1", NULL},
        {"pass: parser", NULL},
        {"author: bob, secretary: eve, keyboard: x, passenger: y", NULL},
        {"\"name\": \"bob\", \"value\": \"x\"", NULL},
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
        {"1764351622 1764351622123", NULL},
        {"price 1 234 567,89 EUR or $1,234,567.89", NULL},
        {"52.520008, 13.404954", NULL},
        {"2026-11-28T17:40:22.123Z", NULL},
        {"chunk 0123456789abcdef", NULL},
        {"DE89 3704 0044 0532 0130 00", NULL},
        {"urn:isbn:9783161484100", NULL},
        {"\xff\xfe 12 \xc3", NULL},
    };
    CHECK(vectors);
}

static void keys_name_secrets_by_their_words(void **state)
{
    (void)state;
    static const char *const secret[] = {
        "password", "user.password", "userPassword", "DB_PASSWORD", "client_secret", "secrets", "api_key", "apiKey", "x-api-key",
        "password1", "userpassword", "dbpassword", "api_keys", "apikeys", "token.value", "accessToken", "clientSecret", "privateKey",
        "access_tokens", "new_password", "passwordHash", "db_pass", "requirepass", "security_code", "cc.number", "social_security", "cvv2",
        "xsrfToken", "OAuth2Token", "refreshToken1", "Proxy-Authorization", "session_key", "creditCardNumber",
        "http.request.header.authorization", "http.request.header.cookie", "set-cookie", "access_token", "token", "auth.token",
        "aws.secret_access_key", "private_key", "card.number", "social_security_number", "ssn", "cvv", "credentials",
    };
    static const char *const plain[] = {
        "", ".", "tokens", "tokens.input", "gen_ai.usage.input_tokens", "gen_ai.request.max_tokens", "token_count", "token.type",
        "token.count", "key", "messaging.kafka.message.key", "foreign_key", "k8s.secret.name", "password.length", "secret.id",
        "cookie.enabled", "compass", "passwordless", "author", "authority", "user.name", "messaging.message.id", "topic",
        "event_id", "thread_id", "session.id", "keyboard", "monkey", "passenger", "secretary", "tests.pass", "first_pass", "bypass",
        "public_key", "idempotency_key", "cache_key", "password_changed_at", "access_key_id", "span", "camera.pan", "cached_tokens",
        "card.brand", "tokenizer", "cookie.consent", "secret_name", "password_file", "turkey", "sort_keys",
    };
    const mask_rules all = {.kinds = LOOM_MASK_ALL};
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++) {
        if (!mask_key(&all, str_of(secret[i]))) {
            print_error("%s is not masked\n", secret[i]);
            wrong++;
        }
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (mask_key(&all, str_of(plain[i]))) {
            print_error("%s is masked\n", plain[i]);
            wrong++;
        }
    }
    assert_int_equal(0, wrong);
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

/* What a key says of a number that is all of its value. */
static void keys_tell_what_a_number_is(void **state)
{
    (void)state;
    static const struct {
        const char *key, *text, *masked;
    } vectors[] = {
        {"customer.phone", "4155552671", "[phone]"},   {"phoneNumber", "0301234567", "[phone]"}, {"note", "4155552671", "4155552671"},
        {"article", "020 7946 0958", "020 7946 0958"}, {"order_id", "AB123456C", "AB123456C"},   {"user.card", "4111111111111111-x", "[card]-x"},
        {"phone", "at 4155552671", "at 4155552671"},
    };
    const mask_rules all = {.kinds = LOOM_MASK_ALL};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        masked m = {.from = str_of(vectors[i].text)};
        mask_scan(&all, str_of(vectors[i].key), m.from, on_found, &m);
        append(&m, m.from.data + m.copied, m.from.len - m.copied);
        assert_string_equal(vectors[i].masked, m.text);
    }
}

static void in_order(void *user, size_t from, size_t to, const char *replacement)
{
    size_t *end = user;
    (void)replacement;
    assert_true(from >= *end && to > from);
    *end = to;
}

/* Repetitions that would make a scanner start over at every place. A quadratic one would take minutes, far beyond
 * the test's time. */
static void no_text_takes_more_than_linear_time(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "eyJ-", "eyJaaaaaaaa.", "sk-", "a://", "a://b:c", "@", "a@b", "a@b.", "1-", "+1", "(415)", "-----BEGIN ", "-----BEGIN PRIVATE KEY ",
        "\"a\":", "password", "=", "Bearer ", "bearer a", "\\\"", "%40", "1 ", "0 12 ", "cookie:", "://:", "password=(", "password=( ",
        "password: {", "\"password\": ", "\"password\":[\"", "name={", "\"name\":\"password\",", "<password>", "<password><a>", "<password ",
        "--password ", "-p", "mysql -p", "%3A%2F%2Fu", "%3D", "%2B1", "\\n", "\\", "'", "password '", "('password',", "password:\n",
        "password:\n\n ", "- ", "    ", "0049 ", "ssn 1", "card 4", "\xc2\xa0", "\xe2\x80", "a,b=", ",", "password=,", "password=a,a", "password=\\\"",
    };
    enum { SIZE = 128 * 1024 };
    const mask_rules all = {.kinds = LOOM_MASK_ALL};
    char *text = malloc(SIZE);
    assert_non_null(text);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        const size_t n = strlen(pieces[i]);
        size_t len = 0;
        for (; len + n <= SIZE; len += n) {
            memcpy(text + len, pieces[i], n);
        }
        size_t end = 0;
        mask_scan(&all, (loom_str){0}, (loom_str){text, len}, in_order, &end);
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
        cmocka_unit_test(keys_tell_what_a_number_is),
        cmocka_unit_test(no_text_takes_more_than_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
