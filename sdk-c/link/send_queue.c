/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/send_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "envelope/msgpack_bytes.h"
#include "envelope/view.h"

enum {
    FRAME_ROOM = FRAME_HEADER_SIZE + 2 + 5,           /* length; [5, …; array32 of envelopes */
    CHUNK_SIZE = FRAME_BATCH_TARGET + FRAME_ROOM      /* bytes; a larger envelope has a chunk of its own */
};

struct send_chunk {
    send_chunk *next;
    uint32_t capacity;
    uint32_t begin, end; /* envelopes that wait, in data; at least FRAME_ROOM bytes lie before begin */
    uint32_t count;      /* of them */
    uint8_t data[];
};

static_assert((int)FRAME_ROOM < (int)ENVELOPE_PREFIX_SIZE, "a frame header fits where an envelope was");

void send_queue_init(send_queue *q, size_t limit)
{
    *q = (send_queue){.limit = limit};
    frame_writer_init(&q->control);
    frame_writer_init(&q->control_out);
    frame_writer_init(&q->spans);
    frame_writer_init(&q->spans_out);
}

static void free_chunks(send_chunk *chunk)
{
    while (chunk != NULL) {
        send_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void send_queue_fini(send_queue *q)
{
    for (unsigned i = 0; i < q->parts; i++) {
        if (q->part[i].chunk != q->head) {
            free(q->part[i].chunk);
        }
    }
    free_chunks(q->head);
    free_chunks(q->spare);
    frame_writer_fini(&q->control);
    frame_writer_fini(&q->control_out);
    frame_writer_fini(&q->spans);
    frame_writer_fini(&q->spans_out);
}

/* ---- chunks ---- */

static send_chunk *new_chunk(send_queue *q, size_t size)
{
    send_chunk *chunk = q->spare;
    if (size <= CHUNK_SIZE - FRAME_ROOM && chunk != NULL) {
        q->spare = chunk->next;
        q->spares--;
    } else {
        size_t capacity = size + FRAME_ROOM > CHUNK_SIZE ? size + FRAME_ROOM : CHUNK_SIZE;
        chunk = malloc(sizeof *chunk + capacity);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->capacity = (uint32_t)capacity;
    }
    chunk->next = NULL;
    chunk->begin = chunk->end = FRAME_ROOM;
    chunk->count = 0;
    return chunk;
}

static void recycle(send_queue *q, send_chunk *chunk)
{
    if (q->spares == CHUNKS_KEPT || chunk->capacity != CHUNK_SIZE) {
        free(chunk);
        return;
    }
    chunk->next = q->spare;
    q->spare = chunk;
    q->spares++;
}

static void pop_head(send_queue *q)
{
    q->head = q->head->next;
    if (q->head == NULL) {
        q->tail = NULL;
    }
}

loom_status send_queue_room(send_queue *q, size_t size, uint8_t **room)
{
    if (q->bytes + size > q->limit) {
        return size > q->limit ? LOOM_ETOOBIG : LOOM_EFULL;
    }
    send_chunk *tail = q->tail;
    if (tail == NULL || tail->capacity - tail->end < size) {
        send_chunk *chunk = new_chunk(q, size);
        if (chunk == NULL) {
            return LOOM_ENOMEM;
        }
        if (tail != NULL) {
            tail->next = chunk;
        } else {
            q->head = chunk;
        }
        q->tail = tail = chunk;
    }
    *room = tail->data + tail->end;
    return LOOM_OK;
}

void send_queue_add(send_queue *q, size_t size)
{
    q->tail->end += (uint32_t)size;
    q->tail->count++;
    q->bytes += size;
    q->queued++;
}

/* ---- the flight ---- */

/* How much of the chunk the credit covers. A message larger than half the window may overdraw: no grant that the bridge
 * gives for less than the whole window would ever cover it. */
static flight_part cut(const send_queue *q, send_chunk *chunk)
{
    uint64_t left = q->credit > q->taken ? q->credit - q->taken : 0;
    flight_part part = {chunk, chunk->begin, chunk->end, chunk->count};
    if (chunk->end - chunk->begin <= left) {
        return part;
    }
    part.end = part.begin;
    part.count = 0;
    while (part.count < chunk->count) {
        envelope_view view;
        const char *reason;
        loom_status st = envelope_scan(&view, (loom_bytes){chunk->data + part.end, chunk->end - part.end}, NULL, &reason);
        assert(st == LOOM_OK); /* we encoded it */
        bool overdraws = part.count == 0 && left > 0 && view.len > q->window / 2;
        if (st != LOOM_OK || (part.end + view.len - part.begin > left && !overdraws)) {
            break;
        }
        part.end += view.len;
        part.count++;
        if (overdraws) {
            break;
        }
    }
    return part;
}

static struct iovec open_frame(const flight_part *part)
{
    uint8_t *at = part->chunk->data + part->begin - FRAME_ROOM;
    mp_store32(at, part->end - part->begin + FRAME_ROOM - FRAME_HEADER_SIZE);
    at[4] = MP_FIXARRAY | 2;
    at[5] = FRAME_PUBLISH;
    at[6] = MP_ARRAY32;
    mp_store32(at + 7, part->count);
    return (struct iovec){at, part->end - part->begin + FRAME_ROOM};
}

static bool take_part(send_queue *q)
{
    send_chunk *chunk = q->head;
    flight_part part = cut(q, chunk);
    if (part.count == 0) {
        return false;
    }
    q->taken += part.end - part.begin;
    q->iov[q->iov_count++] = open_frame(&part);
    q->part[q->parts++] = part;
    bool whole = part.end == chunk->end;
    chunk->begin = part.end;
    chunk->count -= part.count;
    if (whole) {
        pop_head(q);
    }
    return whole;
}

/* The frames of a writer fly; it gets the memory of those that flew before. */
static void take_frames(send_queue *q, frame_writer *waiting, frame_writer *flying)
{
    const frame_writer filled = *waiting;
    *waiting = *flying;
    *flying = filled;
    frame_writer_clear(waiting);
    q->iov[q->iov_count++] = (struct iovec){filled.data, filled.len};
}

bool send_queue_take(send_queue *q)
{
    assert(!send_queue_in_flight(q));
    q->iov_at = q->iov_count = q->parts = 0;
    if (q->control.len > 0) {
        take_frames(q, &q->control, &q->control_out);
    }
    while (q->up && q->head != NULL && q->parts < FLIGHT_CHUNKS && take_part(q)) {
    }
    q->parts_end = q->iov_count;
    if (q->spans.len > 0) {
        take_frames(q, &q->spans, &q->spans_out);
    }
    return q->iov_count > 0;
}

static void add_mark(send_queue *q, uint64_t end, uint64_t messages)
{
    q->marked += messages;
    if (q->marks == SENT_MARKS) { /* coarser, and so never too few */
        sent_mark *last = &q->mark[(q->first_mark + q->marks - 1) % SENT_MARKS];
        last->end = end;
        last->messages += messages;
        return;
    }
    q->mark[(q->first_mark + q->marks++) % SENT_MARKS] = (sent_mark){end, messages};
}

/* A chunk whose rest still waits stays where it is, at the head. */
static void part_has_left(send_queue *q, const flight_part *part, uint64_t end)
{
    q->bytes -= part->end - part->begin;
    q->handed += part->count;
    add_mark(q, end, part->count);
    if (part->chunk != q->head) {
        recycle(q, part->chunk);
    }
}

/* q->taken as it was after this many parts of the flight. */
static uint64_t taken_at(const send_queue *q, unsigned parts)
{
    uint64_t end = q->taken;
    for (unsigned i = parts; i < q->parts; i++) {
        end -= q->part[i].end - q->part[i].begin;
    }
    return end;
}

bool send_queue_sent(send_queue *q, size_t sent)
{
    while (q->iov_at < q->iov_count && sent >= q->iov[q->iov_at].iov_len) {
        sent -= q->iov[q->iov_at++].iov_len;
    }
    if (q->iov_at < q->iov_count) {
        struct iovec *at = &q->iov[q->iov_at];
        at->iov_base = (uint8_t *)at->iov_base + sent;
        at->iov_len -= sent;
        return false;
    }
    for (unsigned i = 0; i < q->parts; i++) {
        part_has_left(q, &q->part[i], taken_at(q, i + 1));
    }
    q->iov_at = q->iov_count = q->parts = 0;
    return true;
}

/* ---- sessions ---- */

void send_queue_begin(send_queue *q, uint64_t credit)
{
    q->up = true;
    q->window = q->credit = credit;
    q->taken = q->marked = q->read = 0;
    q->first_mark = q->marks = 0;
}

void send_queue_read_up_to(send_queue *q, uint64_t taken)
{
    while (q->marks > 0 && q->mark[q->first_mark].end <= taken) {
        q->first_mark = (q->first_mark + 1) % SENT_MARKS;
        q->marks--;
    }
}

void send_queue_grant(send_queue *q, uint64_t credit)
{
    if (credit > q->credit) {
        q->credit = credit;
        send_queue_read_up_to(q, credit - q->window);
    }
}

/* Puts a part back at the front. Its frame header's place still is before it. */
static void take_back(send_queue *q, const flight_part *part)
{
    send_chunk *chunk = part->chunk;
    chunk->begin = part->begin;
    chunk->count += part->count;
    if (chunk != q->head) {
        chunk->next = q->head;
        q->head = chunk;
        if (q->tail == NULL) {
            q->tail = chunk;
        }
    }
}

void send_queue_read_in_all(send_queue *q, uint64_t messages)
{
    q->read = messages;
}

/* Messages that have left and that the bridge is not known to have read: exactly, when it has said so, or those after what
 * it is known to have read. */
static uint64_t unread(const send_queue *q)
{
    uint64_t messages = 0;
    for (unsigned i = 0; i < q->marks; i++) {
        messages += q->mark[(q->first_mark + i) % SENT_MARKS].messages;
    }
    uint64_t exactly = q->marked > q->read ? q->marked - q->read : 0;
    return q->read > 0 && exactly < messages ? exactly : messages;
}

void send_queue_broken(send_queue *q)
{
    assert(!q->writing);
    if (send_queue_in_flight(q)) {
        unsigned first_part = q->parts_end - q->parts; /* control frames may come before them, and spans behind */
        unsigned left = q->iov_at > first_part ? q->iov_at - first_part : 0;
        left = left < q->parts ? left : q->parts;
        for (unsigned i = q->parts; i-- > left;) {
            take_back(q, &q->part[i]);
        }
        for (unsigned i = 0; i < left; i++) {
            part_has_left(q, &q->part[i], UINT64_MAX);
        }
    }
    q->lost += unread(q);
    q->first_mark = q->marks = 0;
    q->marked = q->read = 0;
    q->iov_at = q->iov_count = q->parts = 0;
    frame_writer_clear(&q->control);
    frame_writer_clear(&q->control_out);
    frame_writer_clear(&q->spans);
    frame_writer_clear(&q->spans_out);
    q->up = false;
}
