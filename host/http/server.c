/* SPDX-License-Identifier: Apache-2.0 */
#include "host/http/internal.h"

enum {
    HANDSHAKE_MS = 10000, BODY_MS = 30000, IDLE_MS = 60000, SEND_MS = 30000, PING_MS = 20000, CLOSE_MS = 1000,
    HEAD_MAX = 16 * 1024, BODIES_MAX = 64 * 1024 * 1024, ANSWERS_MAX = 64 * 1024 * 1024
};

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

loom_status http_server_open(http_server **out, uv_loop_t *loop, const http_server_options *options)
{
    *out = NULL;
    http_server *s = calloc(1, sizeof *s);
    if (s == NULL || (s->read_buffer = malloc(READ_SIZE)) == NULL) {
        free(s);
        return LOOM_ENOMEM;
    }
    uv_timer_init(loop, &s->handle);
    uv_idle_init(loop, &s->turn);
    s->handle.data = s->turn.data = s;
    s->read_left = READ_A_TURN;
    s->handles = 2;
    s->loop = loop;
    s->options = *options;
    s->options.handshake_ms = or_default(options->handshake_ms, HANDSHAKE_MS);
    s->options.body_ms = or_default(options->body_ms, BODY_MS);
    s->options.idle_ms = or_default(options->idle_ms, IDLE_MS);
    s->options.send_ms = or_default(options->send_ms, SEND_MS);
    s->options.ping_ms = or_default(options->ping_ms, PING_MS);
    s->options.close_ms = or_default(options->close_ms, CLOSE_MS);
    s->options.head_max = or_default(options->head_max, HEAD_MAX);
    s->options.bodies_max = options->bodies_max != 0 ? options->bodies_max : BODIES_MAX;
    s->options.answers_max = options->answers_max != 0 ? options->answers_max : ANSWERS_MAX;
    *out = s;
    return LOOM_OK;
}

http_room http_server_make_room(http_server *s, const http_listener *of)
{
    for (list_node *at = s->waiting.first; at != NULL; at = at->next) {
        http_connection *c = list_item(at, http_connection, in_waiting);
        if (of != NULL && c->listener != of) {
            continue;
        }
        if (c->waiting_since_ms >= uv_now(s->loop)) {
            return ROOM_SOON;
        }
        s->counts.displaced++;
        http_connection_abort(c);
        return ROOM_MADE;
    }
    return ROOM_NONE;
}

/* ---- taking turns ---- */

/* In the list, or out of all (NULL). */
static void put_in(http_connection *c, linked_list *turns)
{
    if (c->turns != NULL) {
        list_remove(c->turns, &c->turn);
    }
    if (turns != NULL) {
        list_append(turns, &c->turn);
    }
    c->turns = turns;
    c->turn_put = c->server->turn_number;
}

/* NULL: what is in the list was put there in this turn. */
static http_connection *first_of_before(const http_server *s, const linked_list *turns)
{
    http_connection *c = list_item(turns->first, http_connection, turn);
    return c != NULL && c->turn_put != s->turn_number ? c : NULL;
}

static void go_on(http_connection *c)
{
    put_in(c, NULL);
    http_connection_turn(c);
}

static void on_time(uv_timer_t *timer);

/* While others ask little, and have just done so, who sends much has its turn once a millisecond. */
static bool is_too_early(const http_server *s)
{
    const uint64_t now = uv_now(s->loop);
    return now - s->small_ms <= BESIDE_MS && now == s->large_ms;
}

/* Who has more to do comes again, behind the others. Of those that send much as many go on as a turn can read, one at least. */
static void on_turn(uv_idle_t *idle)
{
    http_server *s = idle->data;
    http_connection *c;
    size_t expected = 0;
    s->read_left = READ_A_TURN;
    s->turn_number++;
    while ((c = first_of_before(s, &s->again)) != NULL) {
        go_on(c);
    }
    const bool waits = s->large.first != NULL && is_too_early(s);
    while (!waits && expected < READ_A_TURN && (c = first_of_before(s, &s->large)) != NULL) {
        s->large_ms = uv_now(s->loop);
        expected += c->last_read;
        go_on(c);
    }
    if (s->again.first == NULL && (s->large.first == NULL || waits)) {
        uv_idle_stop(idle);
    }
    if (waits && !s->closing && !uv_is_active((const uv_handle_t *)&s->handle)) {
        uv_timer_start(&s->handle, on_time, 1, 0);
    }
}

static void on_time(uv_timer_t *timer)
{
    http_server *s = timer->data;
    if (s->large.first != NULL && !s->closing) {
        uv_idle_start(&s->turn, on_turn);
    }
}

void http_server_again(http_connection *c)
{
    http_server *s = c->server;
    if (c->turns == NULL && !c->closing && !s->closing) {
        put_in(c, &s->again);
        uv_idle_start(&s->turn, on_turn);
    }
}

void http_server_not_again(http_connection *c)
{
    put_in(c, NULL);
}

/* Streams that come in have turns of their own, which their owners see to; of one that only goes out nothing is expected. */
static bool has_own_turns(const http_connection *c)
{
    return c->phase == PHASE_STREAM && c->stream.endpoint != NULL;
}

size_t http_server_read_size(const http_connection *c)
{
    const size_t left = c->server->read_left;
    return has_own_turns(c) ? READ_SIZE : left > READ_SMALL ? left : READ_SMALL;
}

void http_server_has_read(http_connection *c, size_t len, bool more)
{
    http_server *s = c->server;
    s->counts.bytes += len;
    if (c->closing || s->closing || has_own_turns(c) || (len <= READ_SMALL && !more)) {
        return;
    }
    s->read_left -= len < s->read_left ? len : s->read_left;
    uv_idle_start(&s->turn, on_turn);
    if (more) {
        http_connection_read(c, false); /* libuv would read on up to 32 times before others */
        c->last_read = len;
        if (c->turns == NULL) {
            put_in(c, &s->large);
        }
    }
}

http_server_counts http_server_get_counts(const http_server *s)
{
    return s->counts;
}

void http_server_stop_listening(http_server *s)
{
    s->stopping = true;
    for (http_listener *l = s->listeners; l != NULL; l = l->next) {
        http_listener_close(l);
    }
}

static void free_server(http_server *s)
{
    for (http_listener *l = s->listeners, *next; l != NULL; l = next) {
        next = l->next;
        tls_context_close(l->tls);
        free(l);
    }
    free(s->read_buffer);
    free(s->plain_buffer);
    free(s);
}

void http_server_left(http_server *s)
{
    if (!s->closing || s->connections.first != NULL || s->handles > 0) {
        return;
    }
    for (const http_listener *l = s->listeners; l != NULL; l = l->next) {
        if (l->handles > 0) {
            return;
        }
    }
    void (*done)(void *user) = s->done;
    void *user = s->done_user;
    free_server(s);
    done(user);
}

/* Ends what can be ended in order, and cuts off the rest. */
static void end(http_connection *c)
{
    if (c->phase == PHASE_STREAM) {
        http_stream_close(&c->stream, HTTP_CLOSE_GOING_AWAY);
    } else if (c->phase == PHASE_H2) {
        c->listener->options.http2->end(c);
    } else if (c->phase >= PHASE_CLOSING || (c->phase == PHASE_ANSWER && c->answered)) {
        c->close_after = true;
        http_connection_deadline(c, c->server->options.close_ms);
    } else {
        http_connection_abort(c);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    http_server *s = handle->data;
    s->handles--;
    http_server_left(s);
}

void http_server_close(http_server *s, void (*done)(void *user), void *user)
{
    s->done = done;
    s->done_user = user;
    s->closing = true;
    http_server_stop_listening(s);
    for (list_node *at = s->connections.first, *next; at != NULL; at = next) {
        next = at->next;
        end(list_item(at, http_connection, in_server));
    }
    uv_close((uv_handle_t *)&s->handle, on_handle_closed);
    uv_close((uv_handle_t *)&s->turn, on_handle_closed);
}
