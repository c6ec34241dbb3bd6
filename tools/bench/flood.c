/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, sockets that do not block. It writes a few dozen frames at a time as long as the kernel takes them, reads
 * whatever comes back, and keeps to the publish credit, since a session that does not is ended. A second connection is the
 * other side of what needs one: the provider of calls, the subscriber of publishes. */
#include "tools/bench/flood.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "base/url.h"
#include "envelope/frame/frame.h"
#include "envelope/msgpack_bytes.h"

enum {
    READ_SIZE = 1024 * 1024 + 256 * 1024, /* the largest delivery fits */
    WRITE_AHEAD = 32 * 1024,              /* bytes that wait before no more are made */
    PIECE_MAX = 16 * 1024,                /* bytes of one call: a kernel without preemption lets nobody else in before its end */
    AT_ONCE = 32,                         /* frames */
    STANDING = 256,                       /* subscriptions at a time */
    SMALL = 128, LARGE = 1024 * 1024 - 1024, /* payloads */
    CALL_MS = 200,
    POLL_MS = 20
};

#define TOPIC "flood.flow"

/* A connection. */
typedef struct noisy {
    const char *agent;
    int fd;                 /* -1: not connected */
    frame_writer out;
    size_t sent;            /* of out */
    uint8_t *in;            /* READ_SIZE */
    size_t in_len;
    bool welcome;
    uint64_t granted, published; /* publish credit, bytes */
    uint64_t number;        /* of what it asked last */
} noisy;

typedef struct flooding {
    const bench_site *site;
    bench_flood kind;
    noisy loud, other;
    loom_envelope *envelope; /* what it sends; NULL: nothing that needs one */
    shared_producer *count;
} flooding;

/* ---- a connection ---- */

static int connect_to(const char *text)
{
    url u;
    char why[URL_ERROR_SIZE];
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_in in;
    } at = {0};
    if (url_parse(&u, text, URL_BUS, why) != LOOM_OK) {
        return -1;
    }
    socklen_t len = sizeof at.un;
    if (u.scheme == URL_IPC) {
        at.un.sun_family = AF_UNIX;
        snprintf(at.un.sun_path, sizeof at.un.sun_path, "%s", u.path);
    } else {
        at.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(u.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        len = sizeof at.in;
    }
    const int fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &at.any, len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool open_noisy(noisy *n, const char *where)
{
    const frame_hello hello = {.protocol = LINK_PROTOCOL, .agent = str_of(n->agent), .software = str_of("loom-bench")};
    frame_writer_clear(&n->out);
    n->sent = n->in_len = 0;
    n->granted = n->published = 0;
    n->welcome = false;
    n->in = n->in != NULL ? n->in : malloc(READ_SIZE);
    n->fd = n->in != NULL && frame_put_hello(&n->out, &hello) == LOOM_OK ? connect_to(where) : -1;
    return n->fd >= 0;
}

static void close_noisy(noisy *n)
{
    if (n->fd >= 0) {
        close(n->fd);
    }
    n->fd = -1;
}

static void fini_noisy(noisy *n)
{
    close_noisy(n);
    frame_writer_fini(&n->out);
    free(n->in);
}

static size_t waiting(const noisy *n)
{
    return n->out.len - n->sent;
}

static bool is_passing(ssize_t rc)
{
    return rc >= 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static bool write_some(noisy *n)
{
    frame_writer_seal(&n->out);
    const size_t piece = waiting(n) < PIECE_MAX ? waiting(n) : PIECE_MAX;
    const ssize_t rc = send(n->fd, n->out.data + n->sent, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
    n->sent += rc > 0 ? (size_t)rc : 0;
    if (n->sent == n->out.len) {
        frame_writer_clear(&n->out);
        n->sent = 0;
    }
    return is_passing(rc);
}

/* ---- what comes back ---- */

static bool answer_call(noisy *n, const frame_call *f)
{
    const frame_result result = {.call_id = f->call_id, .outcome = FRAME_CALL_OK};
    return frame_put_result(&n->out, &result) == LOOM_OK;
}

static bool on_frame(flooding *f, noisy *n, const frame *in)
{
    switch (in->type) {
    case FRAME_WELCOME:
        n->welcome = true;
        n->granted = in->u.welcome.credit_bytes;
        return true;
    case FRAME_CREDIT: n->granted = in->u.credit.bytes; return true;
    case FRAME_PING: return frame_put_number(&n->out, FRAME_PONG, in->u.number) == LOOM_OK;
    case FRAME_CALL: return f->kind != FLOOD_CALLS || answer_call(n, &in->u.call);
    case FRAME_ERROR:
    case FRAME_BYE: return false;
    default: return true;
    }
}

/* False: the connection is over. */
static bool read_some(flooding *f, noisy *n)
{
    const size_t room = READ_SIZE - n->in_len;
    const ssize_t got = recv(n->fd, n->in + n->in_len, room < PIECE_MAX ? room : PIECE_MAX, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && is_passing(got);
    }
    n->in_len += (size_t)got;
    size_t done = 0, need;
    loom_bytes body;
    while (frame_split((loom_bytes){n->in + done, n->in_len - done}, &body, &need) == FRAME_WHOLE) {
        frame in;
        char reason[FRAME_REASON_SIZE];
        if (frame_decode(&in, body, reason) != LOOM_OK || !on_frame(f, n, &in)) {
            return false;
        }
        done += FRAME_HEADER_SIZE + body.len;
    }
    if (done > 0) {
        memmove(n->in, n->in + done, n->in_len - done);
        n->in_len -= done;
    }
    return true;
}

/* ---- what it asks ---- */

/* A subscription of its own topic, and one of before ended when there are many. */
static loom_status put_subscribe(noisy *n)
{
    char filter[64];
    snprintf(filter, sizeof filter, "flood.topic.%llu", (unsigned long long)n->number);
    const frame_subscribe f = {.request = 2 * n->number, .subscription = n->number, .filter = str_of(filter)};
    loom_status st = frame_put_subscribe(&n->out, &f);
    if (st == LOOM_OK && n->number > STANDING) {
        st = frame_put_unsubscribe(&n->out, &(frame_unsubscribe){2 * n->number + 1, n->number - STANDING});
    }
    return st;
}

static loom_status put_call(const flooding *f, noisy *n)
{
    static const char *const names[FLOOD_COUNT] = {
        [FLOOD_CALLS] = "flood.echo", [FLOOD_CALLS_UNANSWERED] = "flood.mute", [FLOOD_CALLS_NOBODY] = "flood.nobody"};
    uint8_t id[8];
    mp_store32(id, (uint32_t)(n->number >> 32));
    mp_store32(id + 4, (uint32_t)n->number);
    return frame_put_call(&n->out, &(frame_call){.call_id = {id, sizeof id}, .capability = str_of(names[f->kind]),
                                                 .deadline_ms = CALL_MS, .envelope = loom_envelope_wire(f->envelope)});
}

/* False: there is no credit for it. */
static bool put_publish(const flooding *f, noisy *n, loom_status *st)
{
    const loom_bytes wire = loom_envelope_wire(f->envelope);
    if (n->published >= n->granted) { /* one may go past it */
        return false;
    }
    uint8_t *room = frame_publish_begin(&n->out, wire.len);
    *st = room != NULL ? LOOM_OK : LOOM_ENOMEM;
    if (room != NULL) {
        memcpy(room, wire.data, wire.len);
        frame_batch_commit(&n->out, wire.len);
        n->published += wire.len;
    }
    return true;
}

/* One frame more. False: not now. */
static bool put_next(const flooding *f, noisy *n, loom_status *st)
{
    static const uint8_t unknown[8] = "unknown";
    *st = LOOM_OK;
    n->number++;
    switch (f->kind) {
    case FLOOD_SUBSCRIBES: *st = put_subscribe(n); return true;
    case FLOOD_UNSUBSCRIBES: *st = frame_put_unsubscribe(&n->out, &(frame_unsubscribe){n->number, n->number}); return true;
    case FLOOD_CALLS:
    case FLOOD_CALLS_UNANSWERED:
    case FLOOD_CALLS_NOBODY: *st = put_call(f, n); return true;
    case FLOOD_CANCELS: *st = frame_put_cancel(&n->out, (loom_bytes){unknown, sizeof unknown}, str_of("")); return true;
    case FLOOD_PINGS: *st = frame_put_number(&n->out, FRAME_PING, n->number); return true;
    case FLOOD_PUBLISHES:
    case FLOOD_LARGE_PUBLISHES: return put_publish(f, n, st);
    default: return false;
    }
}

static bool ask(flooding *f, noisy *n)
{
    loom_status st = LOOM_OK;
    unsigned i = 0;
    while (n->welcome && i < AT_ONCE && waiting(n) < WRITE_AHEAD && put_next(f, n, &st) && st == LOOM_OK) {
        i++;
    }
    atomic_fetch_add_explicit(&f->count->sent, i, memory_order_relaxed);
    return st == LOOM_OK;
}

/* ---- the process ---- */

static loom_status put_other(const flooding *f, noisy *n)
{
    switch (f->kind) {
    case FLOOD_CALLS:
    case FLOOD_CALLS_UNANSWERED:
        return frame_put_provide(&n->out, &(frame_provide){.request = 1, .kind = str_of("plain"),
                                     .name = str_of(f->kind == FLOOD_CALLS ? "flood.echo" : "flood.mute")});
    case FLOOD_PUBLISHES:
    case FLOOD_LARGE_PUBLISHES:
        return frame_put_subscribe(&n->out, &(frame_subscribe){.request = 1, .subscription = 1, .filter = str_of(TOPIC),
                                                               .qos = LOOM_QOS_BATCHED});
    default: return LOOM_OK;
    }
}

/* False: out of memory, or the bus is gone. */
static bool turn(flooding *f, noisy *n)
{
    if (n->fd < 0) { /* a session that the bus has ended begins again */
        return open_noisy(n, f->site->url) && (n != &f->other || put_other(f, n) == LOOM_OK);
    }
    if (n == &f->loud && !ask(f, n)) {
        return false;
    }
    if ((waiting(n) > 0 && !write_some(n)) || !read_some(f, n)) {
        close_noisy(n);
    }
    return true;
}

static bool is_over(const bench_site *site)
{
    return atomic_load_explicit(&site->shared->phase, memory_order_relaxed) == PHASE_END;
}

static bool ask_on(flooding *f)
{
    while (!is_over(f->site)) {
        const bool more = f->loud.fd >= 0 && f->loud.welcome && f->loud.published <= f->loud.granted && waiting(&f->loud) < WRITE_AHEAD;
        struct pollfd fds[2] = {
            {f->loud.fd, (short)(POLLIN | (more || waiting(&f->loud) > 0 ? POLLOUT : 0)), 0},
            {f->other.fd, (short)(POLLIN | (waiting(&f->other) > 0 ? POLLOUT : 0)), 0}};
        if (f->loud.fd >= 0 && f->other.fd >= 0 && poll(fds, 2, POLL_MS) < 0 && errno != EINTR) {
            return false;
        }
        if (!turn(f, &f->loud) || !turn(f, &f->other)) {
            return false;
        }
    }
    return true;
}

static bool come_and_go(flooding *f)
{
    while (!is_over(f->site)) {
        noisy *n = &f->loud;
        if (!open_noisy(n, f->site->url) || !write_some(n)) {
            return false;
        }
        struct pollfd fd = {n->fd, POLLIN, 0};
        while (!n->welcome && poll(&fd, 1, POLL_MS) > 0 && read_some(f, n)) {
        }
        atomic_fetch_add_explicit(&f->count->sent, 1, memory_order_relaxed);
        close_noisy(n);
    }
    return true;
}

static void spin(const bench_site *site)
{
    while (!is_over(site)) {
    }
}

static bool make_envelope(flooding *f)
{
    const size_t size = f->kind == FLOOD_LARGE_PUBLISHES ? LARGE : SMALL;
    uint8_t *payload = calloc(1, size);
    const loom_envelope_fields fields = {
        .topic = str_of(TOPIC), .sender = str_of(f->loud.agent), .payload = {payload, payload != NULL ? size : 0}};
    const loom_status st = payload != NULL ? loom_envelope_create(&f->envelope, &fields) : LOOM_ENOMEM;
    free(payload);
    return st == LOOM_OK;
}

int flood(const bench_site *site)
{
    flooding f = {
        .site = site,
        .kind = site->setup->shape.flood,
        .loud = {.agent = "flood", .fd = -1},
        .other = {.agent = "flood-other", .fd = -1},
        .count = &site->shared->producers[BENCH_PRODUCERS_MAX - 1],
    };
    bool ok = make_envelope(&f);
    if (ok && f.kind == FLOOD_BUSY) {
        spin(site);
    } else if (ok) {
        ok = f.kind == FLOOD_HELLOS ? come_and_go(&f) : ask_on(&f);
    }
    if (!ok && !is_over(site)) {
        bench_complain("the flood of %s ended early: %s", bench_flood_names[f.kind], strerror(errno));
    }
    ok = ok || is_over(site);
    fini_noisy(&f.loud);
    fini_noisy(&f.other);
    loom_envelope_unref(f.envelope);
    return ok ? 0 : 1;
}
