/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the JSON text where it lies, for two members of it; what it cannot follow ends the walk. */
#include "trace/export/response_json.h"

#include "base/str.h"

#define DEPTH_MAX 16u

typedef struct cursor {
    const char *at, *end;
    bool bad;
} cursor;

static void skip_space(cursor *c)
{
    while (c->at < c->end && strchr(" \t\r\n", *c->at) != NULL && *c->at != '\0') {
        c->at++;
    }
}

/* The next character that is no space; 0 at the end, and in what is bad. */
static char peek(cursor *c)
{
    skip_space(c);
    return !c->bad && c->at < c->end ? *c->at : '\0';
}

static bool take(cursor *c, char wanted)
{
    if (peek(c) != wanted || wanted == '\0') {
        return false;
    }
    c->at++;
    return true;
}

/* What is between the quotes. */
static loom_str take_string(cursor *c)
{
    if (!take(c, '"')) {
        c->bad = true;
        return (loom_str){0};
    }
    const char *from = c->at;
    while (c->at < c->end && *c->at != '"') {
        c->at += *c->at == '\\' && c->end - c->at > 1 ? 2 : 1;
    }
    const loom_str text = {from, (size_t)(c->at - from)};
    c->bad = c->bad || !take(c, '"');
    return text;
}

/* A number, true, false, null. */
static loom_str take_word(cursor *c)
{
    static const char ends[] = ",]} \t\r\n";
    const char *from = c->at;
    while (c->at < c->end && (*c->at == '\0' || strchr(ends, *c->at) == NULL)) {
        c->at++;
    }
    c->bad = c->bad || c->at == from;
    return (loom_str){from, (size_t)(c->at - from)};
}

/* Goes by brackets alone: whether they match is not our question, as long as the walk ends. */
static void skip_value(cursor *c)
{
    size_t depth = 0;
    do {
        const char next = peek(c);
        if (next == '"') {
            (void)take_string(c);
        } else if (next == '{' || next == '[') {
            c->at++;
            c->bad = c->bad || ++depth > DEPTH_MAX;
        } else if (next == '}' || next == ']') {
            c->at++;
            depth -= depth > 0 ? 1 : 0;
        } else if (next == ',' || next == ':') {
            c->at++;
        } else if (next == '\0') {
            c->bad = true;
        } else {
            (void)take_word(c);
        }
    } while (depth > 0 && !c->bad);
}

/* The key of the next member, behind its colon. first: behind the brace. false: there is none. */
static bool next_member(cursor *c, bool first, loom_str *key)
{
    if (first ? peek(c) == '}' : !take(c, ',')) {
        return false;
    }
    *key = take_string(c);
    c->bad = c->bad || !take(c, ':');
    return !c->bad;
}

/* An int64 of protobuf is a string in JSON; a number is to be taken as well. */
static uint64_t take_count(cursor *c)
{
    const loom_str text = peek(c) == '"' ? take_string(c) : take_word(c);
    uint64_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || count > INT64_MAX / 10 - 1) {
            return 0;
        }
        count = count * 10 + (uint64_t)(text.data[i] - '0');
    }
    return count;
}

static void read_partial(cursor *c, partial_success *out)
{
    loom_str key;
    if (!take(c, '{')) {
        skip_value(c);
        return;
    }
    for (bool first = true; next_member(c, first, &key); first = false) {
        if (str_is(key, "rejectedSpans") || str_is(key, "rejected_spans")) {
            out->rejected = take_count(c);
        } else if ((str_is(key, "errorMessage") || str_is(key, "error_message")) && peek(c) == '"') {
            out->message = take_string(c);
        } else {
            skip_value(c);
        }
    }
    c->bad = c->bad || !take(c, '}');
}

partial_success response_json_partial(loom_bytes body)
{
    const char *text = (const char *)body.data;
    cursor c = {text, text != NULL ? text + body.len : text, false};
    partial_success found = {0};
    loom_str key;
    if (!take(&c, '{')) {
        return found;
    }
    for (bool first = true; next_member(&c, first, &key); first = false) {
        if (str_is(key, "partialSuccess") || str_is(key, "partial_success")) {
            read_partial(&c, &found);
        } else {
            skip_value(&c);
        }
    }
    return c.bad || !take(&c, '}') ? (partial_success){0} : found;
}
