/* SPDX-License-Identifier: Apache-2.0 */
/* Entries, in order of agent and session, and when each changes its state.
 *
 * Hearing an agent only notes the time. The deadline of an entry is when it would change its state had it been silent since
 * the deadline was set; when that comes, what was heard meanwhile decides, and it is set again. */
#include "broker/directory/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"

enum { ROOM_MIN = 16 };

const char *directory_state_name(directory_state state)
{
    switch (state) {
    case DIRECTORY_ACTIVE: return "active";
    case DIRECTORY_SILENT: return "silent";
    case DIRECTORY_EXPIRED: return "expired";
    }
    return "?";
}

loom_status directory_create(directory **out, const loop_clock *clock, eventbus *events)
{
    directory *d = calloc(1, sizeof *d);
    *out = d;
    if (d == NULL) {
        return LOOM_ENOMEM;
    }
    d->clock = clock;
    d->events = events;
    return LOOM_OK;
}

void directory_set_limit(directory *d, uint32_t max_agents)
{
    d->max_agents = max_agents;
}

void directory_set_draining(directory *d, bool draining)
{
    d->draining_since_ms = draining && !d->draining ? d->clock->now_ms : d->draining_since_ms;
    d->draining = draining;
}

bool directory_is_draining(const directory *d)
{
    return d->draining;
}

void directory_destroy(directory *d)
{
    if (d == NULL) {
        return;
    }
    assert(d->stats.agents == 0);
    deadline_heap_fini(&d->deadlines);
    free(d->entries);
    free(d);
}

/* ---- the order ---- */

static int compare(const directory_entry *entry, loom_str agent, uint64_t session)
{
    const loom_str own = entry->about.agent;
    const int order = memcmp(own.data, agent.data, own.len < agent.len ? own.len : agent.len);
    if (order != 0) {
        return order;
    }
    if (own.len != agent.len) {
        return own.len < agent.len ? -1 : 1;
    }
    return entry->session == session ? 0 : entry->session < session ? -1 : 1;
}

/* The place of the first entry that is not before this one. */
static uint32_t place_of(const directory *d, loom_str agent, uint64_t session)
{
    uint32_t low = 0;
    for (uint32_t high = d->stats.agents; low < high;) {
        const uint32_t middle = low + (high - low) / 2;
        if (compare(d->entries[middle], agent, session) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool set_room(directory *d, uint32_t room)
{
    if (!deadline_heap_reserve(&d->deadlines, room)) {
        return false;
    }
    directory_entry **entries = realloc(d->entries, room * sizeof(directory_entry *));
    if (entries == NULL) {
        return false;
    }
    d->entries = entries;
    d->room = room;
    return true;
}

static void insert(directory *d, directory_entry *entry)
{
    const uint32_t at = place_of(d, entry->about.agent, entry->session);
    memmove(&d->entries[at + 1], &d->entries[at], (d->stats.agents - at) * sizeof(directory_entry *));
    d->entries[at] = entry;
    d->stats.agents++;
}

static void take_out(directory *d, const directory_entry *entry)
{
    const uint32_t at = place_of(d, entry->about.agent, entry->session);
    assert(d->entries[at] == entry);
    d->stats.agents--;
    memmove(&d->entries[at], &d->entries[at + 1], (d->stats.agents - at) * sizeof(directory_entry *));
    if (d->room > ROOM_MIN && d->stats.agents < d->room / 8) {
        (void)set_room(d, d->room / 2); /* without the memory to move it just stays */
    }
}

/* ---- time ---- */

/* How long an agent has to be silent before it leaves this state. */
static uint64_t state_ends_after(const directory_entry *entry)
{
    const uint64_t heartbeat_ms = entry->about.heartbeat_ms;
    switch (entry->state) {
    case DIRECTORY_ACTIVE: return heartbeat_ms + heartbeat_ms / 2;
    case DIRECTORY_SILENT: return 3 * heartbeat_ms;
    default: return 5 * heartbeat_ms;
    }
}

static void set_deadline(directory_entry *entry)
{
    deadline_heap_remove(&entry->directory->deadlines, &entry->deadline);
    deadline_heap_add(&entry->directory->deadlines, &entry->deadline, entry->heard_ms + state_ends_after(entry));
}

loom_str directory_agent_of(const directory_entry *entry)
{
    return entry->about.agent;
}

void directory_heard(directory_entry *entry, uint64_t ms_ago)
{
    const uint64_t now_ms = entry->directory->clock->now_ms;
    const uint64_t heard_ms = ms_ago < now_ms ? now_ms - ms_ago : 0;
    if (heard_ms <= entry->heard_ms) {
        return;
    }
    entry->heard_ms = heard_ms;
    if (entry->state != DIRECTORY_ACTIVE) { /* if only just: its deadline is then set so that it changes again at once */
        entry->state = DIRECTORY_ACTIVE;
        set_deadline(entry);
    }
}

/* Its deadline has come. True: it has been silent for too long, whatever its state is called. */
static bool grow_silent(directory_entry *entry)
{
    const uint64_t now_ms = entry->directory->clock->now_ms;
    while (entry->heard_ms + state_ends_after(entry) <= now_ms) {
        if (entry->state == DIRECTORY_EXPIRED) {
            deadline_heap_remove(&entry->directory->deadlines, &entry->deadline); /* until it is heard again */
            return true;
        }
        entry->state = entry->state == DIRECTORY_ACTIVE ? DIRECTORY_SILENT : DIRECTORY_EXPIRED;
    }
    set_deadline(entry);
    return false;
}

uint64_t directory_next_deadline_ms(const directory *d)
{
    const deadline_node *first = deadline_heap_first(&d->deadlines);
    return first != NULL ? first->at_ms : UINT64_MAX;
}

void directory_expire(directory *d)
{
    const uint64_t now_ms = d->clock->now_ms;
    deadline_node *due;
    for (uint64_t left = deadline_heap_budget(&d->deadlines, now_ms);
         left > 0 && (due = deadline_heap_due(&d->deadlines, now_ms)) != NULL; left--) {
        directory_entry *entry = (directory_entry *)(void *)((char *)due - offsetof(directory_entry, deadline));
        if (grow_silent(entry) && entry->ended != NULL) {
            entry->ended(entry->user, LOOM_EEXPIRED); /* it may be gone after that */
        }
    }
}

/* ---- coming and going ---- */

/* Whole characters of it, as much as fits. Everybody lists what is said here, so it is made text if it is none. */
static loom_str repair(char out[DIRECTORY_TEXT_MAX], loom_str text)
{
    static const loom_str replacement = {"\xef\xbf\xbd", 3};
    size_t len = 0;
    while (text.len > 0) {
        uint32_t code_point;
        const size_t taken = utf8_next(text, &code_point);
        const loom_str piece = code_point == UTF8_INVALID ? replacement : (loom_str){text.data, taken};
        if (len + piece.len > DIRECTORY_TEXT_MAX) {
            break;
        }
        memcpy(out + len, piece.data, piece.len);
        len += piece.len;
        text.data += taken;
        text.len -= taken;
    }
    return (loom_str){out, len};
}

static loom_str keep(char **at, loom_str text)
{
    char *copy = *at;
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    *at += text.len;
    return (loom_str){copy, text.len};
}

static directory_entry *make_entry(const directory_about *about)
{
    char texts[3][DIRECTORY_TEXT_MAX];
    const loom_str bridge = repair(texts[0], about->bridge), software = repair(texts[1], about->software),
                   peer = repair(texts[2], about->peer);
    directory_entry *entry = calloc(1, sizeof *entry + about->agent.len + bridge.len + software.len + peer.len);
    if (entry == NULL) {
        return NULL;
    }
    char *at = entry->text;
    entry->about = (directory_about){
        .agent = keep(&at, about->agent),
        .bridge = keep(&at, bridge),
        .software = keep(&at, software),
        .peer = keep(&at, peer),
        .instance = {entry->instance, about->instance.len},
        .heartbeat_ms = about->heartbeat_ms,
        .quiet = about->quiet,
        .own = about->own,
        .unrecorded = about->unrecorded,
    };
    if (about->instance.len > 0) {
        memcpy(entry->instance, about->instance.data, about->instance.len);
    }
    return entry;
}

/* After a broker's restart bridges attach their sessions in any order. */
static bool has_newer(const directory *d, loom_str agent, uint64_t age_ms)
{
    bool newer = false;
    for (uint32_t at = place_of(d, agent, 0); at < d->stats.agents && str_equal(d->entries[at]->about.agent, agent); at++) {
        newer = newer || (d->entries[at]->ended != NULL && d->clock->now_ms - d->entries[at]->opened_ms < age_ms);
    }
    return newer;
}

/* A gateway's own id is no agent's, however new that is: all clients of the gateway depend on it. */
static bool is_of_gateway(const directory *d, loom_str agent)
{
    bool own = false;
    for (uint32_t at = place_of(d, agent, 0); at < d->stats.agents && str_equal(d->entries[at]->about.agent, agent); at++) {
        own = own || (d->entries[at]->ended != NULL && d->entries[at]->about.own);
    }
    return own;
}

uint32_t directory_end(directory *d, loom_str agent, loom_status why)
{
    uint32_t ended = 0;
    for (uint32_t at = agent.len > 0 ? place_of(d, agent, 0) : d->stats.agents;
         at < d->stats.agents && str_equal(d->entries[at]->about.agent, agent);) {
        const directory_entry *older = d->entries[at];
        if (older->ended == NULL) {
            at++;
            continue;
        }
        const uint64_t left = d->stats.unregistered;
        older->ended(older->user, why);
        assert(d->stats.unregistered > left);
        (void)left;
        ended++;
    }
    return ended;
}

/* One that comes back with its bridge was here before. */
static bool is_too_late(const directory *d, const directory_about *about)
{
    return d->draining && !about->own && about->age_ms <= d->clock->now_ms - d->draining_since_ms;
}

/* One that a drain waits for. */
static bool is_guest(const directory_entry *entry)
{
    return entry->ended != NULL && !entry->about.own;
}

loom_status directory_enter(directory *d, directory_entry **out, const directory_about *about,
                            void (*ended)(void *user, loom_status why), void *user)
{
    *out = NULL;
    if (about->agent.len == 0 || about->agent.len > LOOM_AGENT_ID_MAX || !utf8_valid(about->agent) ||
        (about->instance.len != 0 && about->instance.len != DIRECTORY_INSTANCE_SIZE)) {
        return LOOM_EINVAL;
    }
    if (ended != NULL && is_too_late(d, about)) {
        d->stats.refused++;
        return LOOM_ECLOSED;
    }
    if (ended != NULL && !about->own && is_of_gateway(d, about->agent)) {
        d->stats.refused++;
        return LOOM_EDENIED;
    }
    if (ended != NULL && !about->own && has_newer(d, about->agent, about->age_ms)) {
        d->stats.replaced++;
        return LOOM_EREPLACED;
    }
    if (d->stats.agents == d->room && !set_room(d, d->room == 0 ? ROOM_MIN : d->room * 2)) {
        return LOOM_ENOMEM;
    }
    directory_entry *entry = make_entry(about);
    if (entry == NULL) {
        return LOOM_ENOMEM;
    }
    if (ended != NULL) {
        d->stats.replaced += directory_end(d, about->agent, LOOM_EREPLACED); /* what leaves makes room for the new one */
        if (d->max_agents > 0 && !about->own && d->guests >= d->max_agents) {
            d->stats.refused++;
            free(entry);
            return LOOM_EFULL;
        }
    }
    d->users += ended == NULL;
    entry->directory = d;
    entry->ended = ended;
    d->guests += is_guest(entry);
    entry->user = user;
    entry->session = ++d->last_session;
    entry->since_unix_ns = clock_unix_ns();
    entry->process_ns = directory_process_since(d, about);
    entry->opened_ms = d->clock->now_ms - about->age_ms; /* may wrap: only differences count */
    entry->heard_ms = d->clock->now_ms;
    insert(d, entry);
    if (about->heartbeat_ms > 0) {
        set_deadline(entry);
    }
    d->stats.registered++;
    *out = entry;
    directory_publish(entry, "agent.registered", NULL);
    return LOOM_OK;
}

void directory_leave(directory *d, directory_entry *entry, loom_status why)
{
    if (entry == NULL) {
        return;
    }
    deadline_heap_remove(&d->deadlines, &entry->deadline);
    take_out(d, entry);
    d->users -= entry->ended == NULL;
    d->guests -= is_guest(entry);
    d->stats.unregistered++;
    d->stats.expired += why == LOOM_EEXPIRED;
    directory_publish(entry, "agent.unregistered", why == LOOM_OK ? "goodbye" : loom_status_text(why));
    directory_note_departed(d, entry);
    free(entry);
}

/* ---- what there is ---- */

directory_stats directory_get_stats(const directory *d)
{
    directory_stats stats = d->stats;
    stats.guests = d->guests;
    stats.draining = d->draining;
    return stats;
}

uint32_t directory_guests(const directory *d)
{
    return d->guests;
}

static directory_info describe(const directory_entry *entry)
{
    const uint64_t now_ms = entry->directory->clock->now_ms;
    return (directory_info){
        .about = entry->about,
        .session = entry->session,
        .since_unix_ns = entry->since_unix_ns,
        .process_ns = entry->process_ns,
        .heard_ms_ago = now_ms > entry->heard_ms ? now_ms - entry->heard_ms : 0,
        .state = entry->state,
        .guest = is_guest(entry),
    };
}

void directory_visit(const directory *d, bool (*visit)(void *user, const directory_info *info), void *user)
{
    for (uint32_t i = 0; i < d->stats.agents; i++) {
        const directory_info info = describe(d->entries[i]);
        if (!visit(user, &info)) {
            return;
        }
    }
}

bool directory_find(const directory *d, loom_str agent, directory_info *out)
{
    const uint32_t at = agent.len > 0 ? place_of(d, agent, 0) : d->stats.agents;
    if (at == d->stats.agents || !str_equal(d->entries[at]->about.agent, agent)) {
        return false;
    }
    *out = describe(d->entries[at]);
    return true;
}
