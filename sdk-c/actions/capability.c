/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/actions/capability.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <loom/topic.h>

#include "base/str.h"
#include "sdk-c/actions/action_home.h"
#include "sdk-c/agent/report.h"

/* Tells requests about capabilities from those about subscriptions, which count from 1. */
#define PROVIDE_REQUEST (1ull << 62)

static uint64_t provide_request(uint64_t number)
{
    return PROVIDE_REQUEST | number * 2;
}

/* ---- one capability ---- */

void capability_unref(capability *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        capability_schemas_fini(&c->schemas);
        free(c);
    }
}

static loom_str version_of(const char *version)
{
    return version != NULL && version[0] != '\0' ? str_of(version) : (loom_str){"0", 1};
}

static loom_status refuse(const loom_capability *given, const char *reason)
{
    return last_error(LOOM_EINVAL, "capability \"%.100s\": %s", given->name != NULL ? given->name : "", reason);
}

static loom_status check_name(const loom_capability *given)
{
    const char *reason = "its name is missing";
    if (given->name == NULL || (loom_topic_check(str_of(given->name), &reason) != LOOM_OK)) {
        return refuse(given, reason);
    }
    return LOOM_OK;
}

static loom_status check_kind(const loom_capability *given, loom_str *kind)
{
    static const char *const kinds[] = {"plain", "tool", "agent"};
    size_t i = 0;
    while (given->kind != NULL && given->kind[0] != '\0' && strcmp(given->kind, kinds[i]) != 0) {
        if (++i == sizeof kinds / sizeof *kinds) {
            return refuse(given, "its kind is none of tool, agent, plain");
        }
    }
    *kind = str_of(kinds[i]);
    return LOOM_OK;
}

static loom_status check_lengths(const loom_capability *given)
{
    const struct {
        const char *what;
        size_t len, max;
    } texts[] = {{"name", strlen(given->name), FRAME_CAPABILITY_MAX},
                 {"version", version_of(given->version).len, FRAME_VERSION_MAX},
                 {"description", str_of(given->description).len, FRAME_DESCRIPTION_MAX},
                 {"input_schema", str_of(given->input_schema).len, FRAME_SCHEMA_MAX},
                 {"output_schema", str_of(given->output_schema).len, FRAME_SCHEMA_MAX}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (texts[i].len > texts[i].max) {
            return last_error(LOOM_ETOOBIG, "capability \"%.100s\": its %s has %zu bytes, and at most %zu are allowed",
                              given->name, texts[i].what, texts[i].len, texts[i].max);
        }
    }
    return LOOM_OK;
}

static loom_status check(const loom_capability *given, loom_str *kind)
{
    if (given == NULL) {
        return last_error_null("the capability");
    }
    loom_status st = check_name(given);
    if (st == LOOM_OK && given->on_action == NULL) {
        st = refuse(given, "there is no on_action to handle its calls");
    }
    if (st == LOOM_OK && given->metadata_count > 0 && given->metadata == NULL) {
        st = refuse(given, "metadata_count is set, and metadata is NULL");
    }
    for (size_t i = 0; st == LOOM_OK && i < given->metadata_count; i++) {
        const loom_header *m = &given->metadata[i];
        if (m->key.len == 0 || m->key.data == NULL || (m->value.len > 0 && m->value.data == NULL)) {
            st = refuse(given, m->key.len == 0 ? "an entry of its metadata has an empty key"
                                               : "an entry of its metadata has a length and no text");
        }
    }
    if (st != LOOM_OK || (st = check_kind(given, kind)) != LOOM_OK) {
        return st;
    }
    return check_lengths(given);
}

static loom_str put(char **at, loom_str text)
{
    loom_str copy = {*at, text.len};
    if (text.len > 0) {
        memcpy(*at, text.data, text.len);
    }
    (*at)[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

static loom_status capability_create(capability **out, const loom_capability *given)
{
    uint8_t metadata[LOOM_HEADERS_MAX];
    size_t metadata_len = 0;
    loom_str kind;
    loom_status st = check(given, &kind);
    if (st == LOOM_OK && given->metadata_count > 0) {
        st = frame_metadata_write(metadata, sizeof metadata, given->metadata, given->metadata_count, &metadata_len);
        if (st == LOOM_ETOOBIG) {
            st = last_error(st, "capability \"%.100s\": its metadata is over %u entries or %u bytes", given->name,
                            FRAME_METADATA_MAX, LOOM_HEADERS_MAX);
        }
    }
    capability_schemas schemas;
    if (st != LOOM_OK || (st = capability_schemas_init(&schemas, given)) != LOOM_OK) {
        return st;
    }
    const loom_str texts[] = {str_of(given->name),         version_of(given->version),
                              str_of(given->description),  kind,
                              str_of(given->input_schema), str_of(given->output_schema)};
    size_t size = sizeof(capability) + metadata_len;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size += texts[i].len + 1;
    }
    capability *c = calloc(1, size);
    if (c == NULL) {
        capability_schemas_fini(&schemas);
        return LOOM_ENOMEM;
    }
    c->schemas = schemas;
    char *at = (char *)(c + 1);
    loom_str *const into[] = {&c->about.name, &c->about.version,      &c->about.description,
                              &c->about.kind, &c->about.input_schema, &c->about.output_schema};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *into[i] = put(&at, texts[i]);
    }
    if (metadata_len > 0) {
        memcpy(at, metadata, metadata_len);
    }
    c->about.metadata = (loom_bytes){(uint8_t *)at, metadata_len};
    c->kind = str_is(kind, "tool") ? CALL_TOOL : str_is(kind, "agent") ? CALL_AGENT : CALL_PLAIN;
    c->on_action = given->on_action;
    c->on_cancel = given->on_cancel;
    c->user = given->user;
    atomic_init(&c->refs, 1);
    *out = c;
    return LOOM_OK;
}

/* ---- all of an agent's ---- */

/* capability_count: there is none. */
static size_t position(const loom_agent *a, loom_str name, loom_str version)
{
    const actions *s = a->actions;
    size_t i = 0;
    while (i < s->capability_count && !(str_equal(s->capabilities[i]->about.name, name) &&
                                        str_equal(s->capabilities[i]->about.version, version))) {
        i++;
    }
    return i;
}

capability *capabilities_find(loom_agent *a, loom_str name, loom_str version)
{
    size_t i = position(a, name, version.len > 0 ? version : (loom_str){"0", 1});
    if (i == a->actions->capability_count) {
        return NULL;
    }
    capability *c = a->actions->capabilities[i];
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void capabilities_fini(actions *s)
{
    for (size_t i = 0; i < s->capability_count; i++) {
        capability_unref(s->capabilities[i]);
    }
    free(s->capabilities);
}

static loom_status announce(loom_agent *a, capability *c)
{
    c->about.request = provide_request(c->number);
    c->answered = false;
    return frame_put_provide(&a->loop.out.control, &c->about);
}

loom_status capabilities_announce(loom_agent *a)
{
    loom_status st = LOOM_OK;
    for (size_t i = 0; i < a->actions->capability_count && st == LOOM_OK; i++) {
        st = announce(a, a->actions->capabilities[i]);
    }
    return st;
}

void capabilities_forget_answers(loom_agent *a)
{
    for (size_t i = 0; i < a->actions->capability_count; i++) {
        a->actions->capabilities[i]->answered = false;
    }
}

bool capabilities_answer(const loom_agent *a, loom_status *answer)
{
    *answer = LOOM_OK;
    for (size_t i = 0; i < a->actions->capability_count; i++) {
        const capability *c = a->actions->capabilities[i];
        if (!c->answered) {
            return false;
        }
        if (*answer == LOOM_OK) {
            *answer = c->answer;
        }
    }
    return true;
}

bool capabilities_on_ack(loom_agent *a, const frame_outcome *ack)
{
    loom_status answer = ack->status == LOOM_OK ? LOOM_OK : session_status_of(ack->status, LOOM_EPROTO);
    char text[SESSION_TEXT_SIZE] = "";
    if ((ack->request & PROVIDE_REQUEST) == 0) {
        return false;
    }
    pthread_mutex_lock(&a->loop.lock);
    for (size_t i = 0; i < a->actions->capability_count; i++) {
        capability *c = a->actions->capabilities[i];
        if (provide_request(c->number) == ack->request) {
            c->answered = true;
            c->answer = answer;
            snprintf(text, sizeof text, "capability %.100s refused: %.*s", c->about.name.data,
                     (int)(ack->text.len < 160 ? ack->text.len : 160), ack->text.len > 0 ? ack->text.data : "");
            loop_changed(&a->loop);
        }
    }
    pthread_mutex_unlock(&a->loop.lock);
    if (answer != LOOM_OK && text[0] != '\0') { /* refusing to withdraw what is not there is no news */
        report_refusal(a, answer, text);
    }
    return true;
}

/* ---- provide and withdraw ---- */

/* Lock held: in the place of one of the same name and version, or at the end. */
static loom_status put_in_place(loom_agent *a, capability *c)
{
    actions *s = a->actions;
    size_t at = position(a, c->about.name, c->about.version);
    if (at == s->capability_capacity) {
        size_t capacity = at > 0 ? at * 2 : 8;
        capability **items = realloc(s->capabilities, capacity * sizeof(capability *));
        if (items == NULL) {
            return LOOM_ENOMEM;
        }
        s->capabilities = items;
        s->capability_capacity = capacity;
    }
    if (s->home == NULL && action_home_create(&s->home, a) != LOOM_OK) {
        return LOOM_ENOMEM;
    }
    c->number = ++s->last_capability;
    if (a->loop.out.up) {
        loom_status st = announce(a, c);
        if (st != LOOM_OK) {
            return st;
        }
    }
    if (at < s->capability_count) {
        capability_unref(s->capabilities[at]);
    } else {
        s->capability_count++;
    }
    s->capabilities[at] = c;
    if (a->loop.out.up) {
        loop_write_soon(&a->loop, clock_unix_ns()); /* last: it gives up the lock, and the answer may come meanwhile */
    }
    return LOOM_OK;
}

loom_status loom_agent_provide(loom_agent *a, const loom_capability *given)
{
    capability *c;
    loom_status st = agent_check(a);
    if (st != LOOM_OK || (st = capability_create(&c, given)) != LOOM_OK) {
        return st;
    }
    pthread_mutex_lock(&a->loop.lock);
    st = a->loop.over ? LOOM_ECLOSED : put_in_place(a, c);
    pthread_mutex_unlock(&a->loop.lock);
    if (st != LOOM_OK) {
        capability_unref(c);
    }
    return st;
}

loom_status loom_agent_withdraw(loom_agent *a, const char *name, const char *version)
{
    loom_status st = agent_check(a);
    if (st != LOOM_OK || name == NULL) {
        return st != LOOM_OK ? st : last_error_null("the name of the capability");
    }
    pthread_mutex_lock(&a->loop.lock);
    actions *s = a->actions;
    size_t at = position(a, str_of(name), version_of(version));
    st = at < s->capability_count ? LOOM_OK : LOOM_ENOTFOUND;
    capability *c = st == LOOM_OK ? s->capabilities[at] : NULL;
    if (st == LOOM_OK && a->loop.out.up) {
        frame_provide gone = {.request = provide_request(c->number) + 1,
                              .name = c->about.name,
                              .version = c->about.version,
                              .withdraw = true};
        st = frame_put_provide(&a->loop.out.control, &gone);
    }
    if (st == LOOM_OK) {
        memmove(&s->capabilities[at], &s->capabilities[at + 1], (--s->capability_count - at) * sizeof(capability *));
        loop_changed(&a->loop);
        loop_write_soon(&a->loop, clock_unix_ns());
    } else {
        c = NULL;
    }
    pthread_mutex_unlock(&a->loop.lock);
    capability_unref(c);
    return st;
}
