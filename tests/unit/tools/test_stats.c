/* SPDX-License-Identifier: Apache-2.0 */
/* loom stats against a control socket that answers what a test wants; loom pub and loom sub without a broker. */
#include <msgpack.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"

enum { DEADLINE_MS = 20000 };

typedef struct control {
    nng_socket socket;
    char dir[32], url[64];
    loom_bytes answer;
    char asked[64];
    size_t asked_len;
    pthread_t thread;
} control;

/* Answers one question. */
static void *serve(void *user)
{
    control *c = user;
    nng_msg *msg;
    if (nng_recvmsg(c->socket, &msg, 0) == 0) {
        c->asked_len = nng_msg_len(msg) < sizeof c->asked ? nng_msg_len(msg) : sizeof c->asked;
        memcpy(c->asked, nng_msg_body(msg), c->asked_len);
        nng_msg_clear(msg);
        if (nng_msg_append(msg, c->answer.data, c->answer.len) != 0 || nng_sendmsg(c->socket, msg, 0) != 0) {
            nng_msg_free(msg);
        }
    }
    return NULL;
}

typedef struct result {
    int code;
    char text[16384]; /* of both streams */
} result;

static result run(const char *arguments)
{
    result r = {0};
    char line[2048];
    snprintf(line, sizeof line, "exec 2>&1 </dev/null; env -u LOOM_URL -u LOOM_CONTROL NO_COLOR=1 "
             "OTEL_TRACES_EXPORTER=none %s %s", LOOM_PROGRAM, arguments);
    FILE *out = popen(line, "r");
    assert_non_null(out);
    r.text[fread(r.text, 1, sizeof r.text - 1, out)] = '\0';
    int status = pclose(out);
    assert_true(WIFEXITED(status));
    r.code = WEXITSTATUS(status);
    return r;
}

static void assert_says(result r, int code, const char *text)
{
    if (r.code != code || strstr(r.text, text) == NULL) {
        fail_msg("exit %d, not %d, and does not say \"%s\":\n%s", r.code, code, text, r.text);
    }
}

/* What the program says when the control socket answers so. */
static result ask(loom_bytes answer, const char *options)
{
    control c = {.answer = answer, .dir = "/tmp/loom-control-XXXXXX"};
    char line[256];
    assert_non_null(mkdtemp(c.dir));
    snprintf(c.url, sizeof c.url, "ipc://%s/c.sock", c.dir);
    assert_int_equal(0, nng_rep0_open(&c.socket));
    assert_int_equal(0, nng_socket_set_ms(c.socket, NNG_OPT_RECVTIMEO, DEADLINE_MS));
    assert_int_equal(0, nng_listen(c.socket, c.url, NULL, 0));
    assert_int_equal(0, pthread_create(&c.thread, NULL, serve, &c));
    snprintf(line, sizeof line, "stats --control %s %s", c.url, options);
    result r = run(line);
    pthread_join(c.thread, NULL);
    nng_close(c.socket);
    assert_int_equal(0, rmdir(c.dir));
    static const uint8_t question[] = {0x81, 0xa2, 'o', 'p', 0xa5, 's', 't', 'a', 't', 's'};
    assert_int_equal(sizeof question, c.asked_len);
    assert_memory_equal(question, c.asked, sizeof question);
    return r;
}

static void put_text(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

static void put_number(msgpack_packer *pk, const char *key, uint64_t value)
{
    put_text(pk, key);
    msgpack_pack_uint64(pk, value);
}

/* An answer with one topic and one subscription. */
static void put_stats(msgpack_packer *pk, const char *topic, const char *subscriber)
{
    msgpack_pack_map(pk, 6);
    put_number(pk, "status", LOOM_OK);
    put_text(pk, "software");
    put_text(pk, "loom-broker/1");
    put_number(pk, "uptime_ms", 61000);
    put_text(pk, "eventbus");
    msgpack_pack_map(pk, 3);
    put_number(pk, "published", 12345);
    put_number(pk, "delivered", UINT64_MAX);
    put_text(pk, "dropped");
    msgpack_pack_map(pk, 1);
    put_number(pk, "queue_full", 7);
    put_text(pk, "topics");
    msgpack_pack_array(pk, 1);
    msgpack_pack_map(pk, 2);
    put_text(pk, "topic");
    put_text(pk, topic);
    put_number(pk, "published", 5);
    put_text(pk, "subscriptions");
    msgpack_pack_array(pk, 1);
    msgpack_pack_map(pk, 4);
    put_text(pk, "subscriber");
    put_text(pk, subscriber);
    put_text(pk, "filter");
    put_text(pk, "a.>");
    put_number(pk, "qos", 99);
    put_text(pk, "pressing");
    msgpack_pack_true(pk);
}

static result ask_stats(const char *topic, const char *subscriber, const char *options)
{
    msgpack_sbuffer answer;
    msgpack_packer pk;
    msgpack_sbuffer_init(&answer);
    msgpack_packer_init(&pk, &answer, msgpack_sbuffer_write);
    put_stats(&pk, topic, subscriber);
    result r = ask((loom_bytes){(const uint8_t *)answer.data, answer.size}, options);
    msgpack_sbuffer_destroy(&answer);
    return r;
}

/* ---- facts ---- */

static void what_the_broker_counts_is_shown(void **state)
{
    (void)state;
    result r = ask_stats("sensor.data", "sensor-1", "");
    assert_says(r, 0, "loom-broker/1");
    assert_says(r, 0, "12345");
    assert_says(r, 0, "queue_full");
    assert_says(r, 0, "sensor.data");
    assert_says(r, 0, "sensor-1");
    assert_says(r, 0, "slow");
}

static void json_has_everything(void **state)
{
    (void)state;
    result r = ask_stats("sensor.data", "sensor-1", "--json");
    assert_says(r, 0, "\"topic\":\"sensor.data\"");
    assert_says(r, 0, "\"queue_full\":\"7\"");
}

static void names_from_outside_cannot_drive_the_terminal(void **state)
{
    (void)state;
    result r = ask_stats("a\033[2Jb\r\nc", "x\xff\xfey", "");
    assert_int_equal(0, r.code);
    assert_null(strchr(r.text, '\033'));
    assert_null(strchr(r.text, '\r'));
}

static void an_answer_that_is_no_brokers_is_a_failure(void **state)
{
    (void)state;
    static uint8_t deep[100000];
    memset(deep, 0x91, sizeof deep);
    const loom_bytes answers[] = {
        {NULL, 0},
        BYTES("hello"),
        BYTES(((uint8_t[]){0x81})),                                              /* a map without its entry */
        BYTES(((uint8_t[]){0x80})),                                              /* no status */
        BYTES(((uint8_t[]){0xdd, 0xff, 0xff, 0xff, 0xff})),                      /* array32 of 4 Gi elements, no body */
        BYTES(((uint8_t[]){0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 'a', 0x01})),     /* map32, one entry */
        BYTES(((uint8_t[]){0x81, 0x01, 0x02})),                                  /* a key that is no string */
        BYTES(((uint8_t[]){0x81, 0xa6, 's', 't', 'a', 't', 'u', 's', 0xc0})),    /* nil */
        BYTES(((uint8_t[]){0x81, 0xa6, 's', 't', 'a', 't', 'u', 's', 0xdb, 0xff, 0xff, 0xff, 0xff})), /* str32 */
        {deep, sizeof deep},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        assert_says(ask(answers[i], ""), 3, "not from a broker");
    }
}

static void a_refusal_is_told_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        loom_status status;
        int exit_code;
    } cases[] = {{LOOM_EINVAL, 2}, {LOOM_EDENIED, 6}, {LOOM_ENOMEM, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t answer[] = {0x82, 0xa6, 's', 't', 'a', 't', 'u', 's', (uint8_t)cases[i].status, 0xa4, 't', 'e', 'x', 't', 0xa2, 'n', 'o'};
        assert_says(ask(BYTES(answer), ""), cases[i].exit_code, "the broker refused: no");
    }
}

static void an_answer_without_its_parts_is_shown_as_nothing(void **state)
{
    (void)state;
    static const uint8_t answer[] = {0x81, 0xa6, 's', 't', 'a', 't', 'u', 's', 0x00};
    assert_says(ask(BYTES(answer), ""), 0, "published");
}

static void without_a_broker_the_address_tried_is_told(void **state)
{
    (void)state;
    assert_says(run("stats --control ipc:///nonexistent/c.sock"), 3, "ipc:///nonexistent/c.sock");
    assert_says(run("pub --url ipc:///nonexistent/a.sock --wait 50ms a.b x"), 3, "ipc:///nonexistent/a.sock");
    assert_says(run("sub --url ipc:///nonexistent/a.sock --wait 50ms a.b"), 3, "ipc:///nonexistent/a.sock");
}

static void a_wrong_command_line_is_a_usage_error(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } wrong[] = {
        {"pub", "missing topic"},
        {"pub 'a..b' x", "invalid topic"},
        {"pub 'a.*' x", "invalid topic"},
        {"pub a.b x --header novalue", "--header must be KEY=VALUE"},
        {"pub a.b x --header =value", "--header must be KEY=VALUE"},
        {"pub a.b x --file /dev/null", "not both"},
        {"pub a.b x --count many", "--count"},
        {"pub a.b x y", "unexpected argument"},
        {"pub a.b x --wait soon", "--wait must be a duration"},
        {"pub a.b x --id 'a.b'", "agent id"},
        {"pub a.b x --id $(printf %0200d 0)", "over 128 bytes"},
        {"sub", "missing filter"},
        {"sub 'a.>.b'", "invalid filter"},
        {"sub a --qos best", "--qos must be batched, realtime or background"},
        {"sub a --timeout never", "--timeout must be a duration"},
        {"sub a --count -1", "--count"},
        {"stats here", "unexpected argument"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_says(run(wrong[i].line), 2, wrong[i].says);
    }
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
    (void)state;
    static const uint8_t answer[] = {0x81, 0xa6, 's', 't', 'a', 't', 'u', 's', 0x00};
    assert_says(ask(BYTES(answer), ">/dev/full"), 1, "cannot write");
    assert_says(ask(BYTES(answer), ">&-"), 1, "cannot write");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_broker_counts_is_shown),
        cmocka_unit_test(json_has_everything),
        cmocka_unit_test(names_from_outside_cannot_drive_the_terminal),
        cmocka_unit_test(an_answer_that_is_no_brokers_is_a_failure),
        cmocka_unit_test(a_refusal_is_told_with_its_reason),
        cmocka_unit_test(an_answer_without_its_parts_is_shown_as_nothing),
        cmocka_unit_test(without_a_broker_the_address_tried_is_told),
        cmocka_unit_test(a_wrong_command_line_is_a_usage_error),
        cmocka_unit_test(output_that_cannot_be_written_is_a_failure),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nng_fini();
    return failed;
}
