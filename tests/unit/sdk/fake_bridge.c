/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/fake_bridge.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "envelope/view.h"

void fake_bridge_listen(fake_bridge *b)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", b->path);
    b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(b->listener >= 0);
    assert_int_equal(0, bind(b->listener, (struct sockaddr *)&addr, sizeof addr));
    assert_int_equal(0, listen(b->listener, 16));
}

void fake_bridge_stop_listening(fake_bridge *b)
{
    if (b->listener >= 0) {
        close(b->listener);
        unlink(b->path);
        b->listener = -1;
    }
}

void fake_bridge_open(fake_bridge *b)
{
    *b = (fake_bridge){.folder = "/tmp/loom-sdk-test-XXXXXX",
                       .listener = -1,
                       .peer = -1,
                       .credit_bytes = 1024 * 1024,
                       .heartbeat_ms = 60000};
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof b->path, "%s/loom.sock", b->folder);
    snprintf(b->url, sizeof b->url, "ipc://%s", b->path);
    frame_writer_init(&b->out);
    fake_bridge_listen(b);
}

void fake_bridge_drop(fake_bridge *b)
{
    if (b->peer >= 0) {
        close(b->peer);
    }
    b->peer = -1;
    b->begin = b->end = 0;
}

void fake_bridge_close(fake_bridge *b)
{
    fake_bridge_drop(b);
    fake_bridge_stop_listening(b);
    rmdir(b->folder);
    frame_writer_fini(&b->out);
    free(b->in);
}

static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int count;
    do {
        count = poll(&p, 1, ms);
    } while (count < 0 && errno == EINTR);
    return count > 0;
}

void fake_bridge_accept(fake_bridge *b)
{
    if (!readable(b->listener, FAKE_DEADLINE_MS)) {
        fail_msg("no agent has connected");
    }
    b->begin = b->end = 0;
    b->peer = accept(b->listener, NULL, NULL);
    assert_true(b->peer >= 0);
}

/* False: the agent has ended the stream. */
static bool receive(fake_bridge *b)
{
    if (!readable(b->peer, FAKE_DEADLINE_MS)) {
        fail_msg("the agent sends nothing");
    }
    if (b->begin > 0) {
        memmove(b->in, b->in + b->begin, b->end - b->begin);
        b->end -= b->begin;
        b->begin = 0;
    }
    if (b->capacity - b->end < 65536) {
        b->capacity += 1 << 20;
        b->in = realloc(b->in, b->capacity);
        assert_non_null(b->in);
    }
    ssize_t n = recv(b->peer, b->in + b->end, b->capacity - b->end, 0);
    if (n <= 0) {
        return false;
    }
    b->end += (size_t)n;
    return true;
}

/* False: the stream has ended. */
bool fake_bridge_try_next(fake_bridge *b, frame *f)
{
    loom_bytes body;
    size_t need;
    char reason[FRAME_REASON_SIZE] = "";
    for (;;) {
        const frame_piece piece = frame_split((loom_bytes){b->in + b->begin, b->end - b->begin}, &body, &need);
        if (piece == FRAME_WHOLE) {
            break;
        }
        assert_int_equal(FRAME_PARTIAL, piece);
        if (!receive(b)) {
            return false;
        }
    }
    b->begin += need;
    if (frame_decode(f, body, reason) != LOOM_OK) {
        fail_msg("the agent sent what is no frame: %s", reason);
    }
    return true;
}

frame fake_bridge_next(fake_bridge *b)
{
    frame f;
    if (!fake_bridge_try_next(b, &f)) {
        fail_msg("the agent has ended the connection");
    }
    return f;
}

frame fake_bridge_expect(fake_bridge *b, frame_type type)
{
    frame f = fake_bridge_next(b);
    while ((f.type == FRAME_PING || f.type == FRAME_CREDIT) && f.type != type) {
        f = fake_bridge_next(b);
    }
    if (f.type != type) {
        fail_msg("the agent sent %s, not %s", frame_type_name(f.type), frame_type_name(type));
    }
    return f;
}

void fake_bridge_expect_end(fake_bridge *b, frame_type unwanted)
{
    frame f;
    while (fake_bridge_try_next(b, &f)) {
        assert_int_not_equal(unwanted, f.type);
    }
}

bool fake_bridge_hears_something(fake_bridge *b, int ms)
{
    return b->begin < b->end || readable(b->peer, ms);
}

void fake_bridge_send_raw(fake_bridge *b, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t n = send(b->peer, at, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the agent has gone: whoever minds will notice */
        }
        at += n;
        len -= (size_t)n;
    }
}

void fake_bridge_flush(fake_bridge *b)
{
    frame_writer_seal(&b->out);
    fake_bridge_send_raw(b, b->out.data, b->out.len);
    frame_writer_clear(&b->out);
}

uint64_t fake_bridge_answer_subscribe(fake_bridge *b)
{
    frame f = fake_bridge_expect(b, FRAME_SUBSCRIBE);
    uint64_t number = f.u.subscribe.subscription;
    frame_outcome ack = {.request = f.u.subscribe.request, .status = b->answer,
                         .text = b->answer != LOOM_OK ? STR("as the test wants it") : str_of(b->cuts)};
    assert_status(LOOM_OK, frame_put_outcome(&b->out, FRAME_ACK, &ack));
    fake_bridge_flush(b);
    return number;
}

uint64_t fake_bridge_session(fake_bridge *b, unsigned subscriptions)
{
    uint64_t number = 0;
    fake_bridge_accept(b);
    (void)fake_bridge_expect(b, FRAME_HELLO);
    frame_welcome welcome = {.protocol = LINK_PROTOCOL,
                             .session = 1,
                             .bridge = STR("fake"),
                             .software = STR("fake/0"),
                             .credit_bytes = b->credit_bytes,
                             .max_payload = b->max_payload,
                             .heartbeat_ms = b->heartbeat_ms,
                             .asks = b->asks,
                             .span_credit = b->span_credit,
                             .recorder = b->recorder};
    assert_status(LOOM_OK, frame_put_welcome(&b->out, &welcome));
    fake_bridge_flush(b);
    for (unsigned i = 0; i < subscriptions; i++) {
        number = fake_bridge_answer_subscribe(b);
    }
    return number;
}

loom_str fake_bridge_answer_provide(fake_bridge *b, loom_status status)
{
    frame f = fake_bridge_expect(b, FRAME_PROVIDE);
    frame_outcome ack = {.request = f.u.provide.request, .status = status, .text = STR("as the test wants it")};
    assert_status(LOOM_OK, frame_put_outcome(&b->out, FRAME_ACK, &ack));
    fake_bridge_flush(b);
    return f.u.provide.name;
}

void fake_bridge_expect_call(fake_bridge *b, heard_call *out, const char *capability)
{
    const char *reason;
    out->frame = fake_bridge_expect(b, FRAME_CALL).u.call;
    assert_str(capability, out->frame.capability);
    memcpy(out->id_bytes, out->frame.call_id.data, out->frame.call_id.len);
    out->id = (loom_bytes){out->id_bytes, out->frame.call_id.len};
    assert_status(LOOM_OK, envelope_scan(&out->view, out->frame.envelope, NULL, &reason));
}

void fake_bridge_result(fake_bridge *b, loom_bytes id, frame_call_outcome outcome, const char *code, const char *payload)
{
    frame_result f = {.call_id = id,
                      .outcome = outcome,
                      .code = str_of(code),
                      .text = STR("as the test wants it"),
                      .payload = {(const uint8_t *)payload, strlen(payload)}};
    assert_status(LOOM_OK, frame_put_result(&b->out, &f));
    fake_bridge_flush(b);
}

void fake_bridge_report(fake_bridge *b, loom_bytes id, frame_report_kind kind, uint64_t number, const char *payload)
{
    frame_report f = {
        .call_id = id, .kind = kind, .number = number, .payload = {(const uint8_t *)payload, strlen(payload)}};
    assert_status(LOOM_OK, frame_put_report(&b->out, &f));
    fake_bridge_flush(b);
}

void fake_bridge_call(fake_bridge *b, const frame_call *f, const loom_envelope_fields *fields)
{
    loom_envelope *env;
    frame_call call = *f;
    assert_status(LOOM_OK, loom_envelope_create(&env, fields));
    call.envelope = loom_envelope_wire(env);
    assert_status(LOOM_OK, frame_put_call(&b->out, &call));
    loom_envelope_unref(env);
    fake_bridge_flush(b);
}

void fake_bridge_call_text(fake_bridge *b, const char *id, const char *capability, const char *payload)
{
    frame_call f = {.call_id = {(const uint8_t *)id, strlen(id)},
                    .capability = str_of(capability),
                    .version = STR("0"),
                    .deadline_ms = 10000};
    loom_envelope_fields fields = {.topic = str_of(capability),
                                   .sender = STR("caller"),
                                   .payload = {(const uint8_t *)payload, strlen(payload)}};
    fake_bridge_call(b, &f, &fields);
}

void fake_bridge_expect_result(fake_bridge *b, const char *id, frame_call_outcome outcome, const char *code,
                               const char *payload)
{
    frame_result f = fake_bridge_expect(b, FRAME_RESULT).u.result;
    assert_str(id, ((loom_str){(const char *)f.call_id.data, f.call_id.len}));
    assert_int_equal(outcome, f.outcome);
    assert_str(code, f.code);
    assert_str(payload, ((loom_str){(const char *)f.payload.data, f.payload.len}));
}

void fake_bridge_deliver(fake_bridge *b, uint64_t subscription, const loom_envelope_fields *fields)
{
    loom_envelope *env;
    assert_status(LOOM_OK, loom_envelope_create(&env, fields));
    loom_bytes wire = loom_envelope_wire(env);
    uint8_t *room = frame_deliver_begin(&b->out, subscription, wire.len);
    assert_non_null(room);
    memcpy(room, wire.data, wire.len);
    frame_batch_commit(&b->out, wire.len);
    loom_envelope_unref(env);
    fake_bridge_flush(b);
}

void fake_bridge_deliver_text(fake_bridge *b, uint64_t subscription, const char *topic, const char *payload)
{
    loom_envelope_fields fields = {.topic = str_of(topic),
                                   .sender = STR("somebody"),
                                   .payload = {(const uint8_t *)payload, strlen(payload)}};
    fake_bridge_deliver(b, subscription, &fields);
}

void fake_bridge_error(fake_bridge *b, loom_status status, const char *text)
{
    frame_outcome f = {.status = status, .text = str_of(text)};
    assert_status(LOOM_OK, frame_put_outcome(&b->out, FRAME_ERROR, &f));
    fake_bridge_flush(b);
}

void fake_bridge_collect(fake_bridge *b, char *text, size_t size, unsigned count)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned seen = 0; seen < count;) {
        frame f = fake_bridge_expect(b, FRAME_PUBLISH);
        loom_bytes left = f.u.batch.items;
        for (uint32_t i = 0; i < f.u.batch.count; i++, seen++) {
            envelope_view view;
            const char *reason;
            assert_status(LOOM_OK, envelope_scan(&view, left, NULL, &reason));
            loom_bytes payload = envelope_view_bytes(&view, ENV_PAYLOAD);
            int n = snprintf(text + used, size - used, "%s%.*s", used > 0 ? "," : "", (int)payload.len,
                             (const char *)payload.data);
            used += (size_t)n;
            assert_true(used < size);
            left.data += view.len;
            left.len -= view.len;
        }
        assert_int_equal(0, left.len);
    }
}
