/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries for members of groups that an agent was never sent: what still lies in its outgoing bytes when its session ends,
 * or in a frame that its socket has not taken whole. They go back to the bus, for the other members. */
#include <string.h>

#include "bridge/session/groups.h"
#include "envelope/msgpack_bytes.h"

/* Calls each() with every delivery of a deliver frame that was written here. False: it is none. */
static bool each_delivery(loom_bytes body, bool (*each)(void *user, uint64_t subscription, const envelope_view *view), void *user)
{
    frame f;
    char reason[FRAME_REASON_SIZE];
    if (frame_decode(&f, body, reason) != LOOM_OK || f.type != FRAME_DELIVER) {
        return false;
    }
    loom_bytes rest = f.u.batch.items;
    for (uint32_t i = 0; i < f.u.batch.count; i++) {
        mp_reader r = {rest.data, rest.data + rest.len};
        uint64_t subscription;
        envelope_view view;
        if (!mp_read_uint(&r, &subscription) ||
            envelope_scan(&view, (loom_bytes){r.at, (size_t)(r.end - r.at)}, NULL, NULL) != LOOM_OK || !each(user, subscription, &view)) {
            return true; /* we wrote it, so it is well-formed */
        }
        r.at += view.len;
        rest = (loom_bytes){r.at, (size_t)(r.end - r.at)};
    }
    return true;
}

static bool give_one_back(void *user, uint64_t subscription, const envelope_view *view)
{
    session *s = user;
    if (groups_name(s, subscription).len > 0) {
        s->bridge->stats.given_back++;
        s->bridge->options.bus->ops->give_back(s->bridge->options.bus, s->port, subscription, view);
    }
    return true;
}

void session_give_back(session *s, loom_bytes frames, size_t sent)
{
    loom_bytes body;
    size_t at = 0, need;
    while (s->port != NULL && s->groups.count > 0 &&
           frame_split((loom_bytes){frames.data + at, frames.len - at}, &body, &need) == FRAME_WHOLE) {
        at += need;
        if (at > sent) { /* half a frame is as good as none: nobody can read it */
            (void)each_delivery(body, give_one_back, s);
        }
    }
}

typedef struct keeper {
    const session *s;
    frame_writer kept;
    bool failed;
} keeper;

static bool keep_others(void *user, uint64_t subscription, const envelope_view *view)
{
    keeper *k = user;
    if (groups_name(k->s, subscription).len > 0) {
        return true;
    }
    uint8_t *copy = frame_deliver_begin(&k->kept, subscription, view->len);
    k->failed = copy == NULL;
    if (!k->failed) {
        memcpy(copy, view->data, view->len);
        frame_batch_commit(&k->kept, view->len);
    }
    return !k->failed;
}

static void keep_frame(keeper *k, loom_bytes whole)
{
    const loom_bytes body = {whole.data + FRAME_HEADER_SIZE, whole.len - FRAME_HEADER_SIZE};
    if (each_delivery(body, keep_others, k)) {
        return;
    }
    frame_writer_seal(&k->kept);
    k->failed = !frame_writer_reserve(&k->kept, whole.len);
    if (!k->failed) {
        memcpy(k->kept.data + k->kept.len, whole.data, whole.len);
        k->kept.len += whole.len;
    }
}

void session_give_back_unsent(session *s)
{
    keeper k = {.s = s};
    loom_bytes body;
    size_t need;
    if (s->port == NULL || s->groups.count == 0 || s->out.len == 0) {
        return;
    }
    frame_writer_init(&k.kept);
    frame_writer_seal(&s->out);
    if (!splices_merge(&s->spliced, &s->out)) {
        return;
    }
    for (size_t at = 0; !k.failed && frame_split((loom_bytes){s->out.data + at, s->out.len - at}, &body, &need) == FRAME_WHOLE; at += need) {
        keep_frame(&k, (loom_bytes){s->out.data + at, need});
    }
    if (k.failed) { /* they stay where they are: rather there than twice */
        frame_writer_fini(&k.kept);
        return;
    }
    frame_writer_seal(&k.kept);
    frame_writer all = s->out;
    s->out = k.kept;
    session_give_back(s, (loom_bytes){all.data, all.len}, 0);
    frame_writer_fini(&all);
}
