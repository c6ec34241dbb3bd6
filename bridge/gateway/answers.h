/* SPDX-License-Identifier: Apache-2.0 */
/* Answers made of JSON values, for the files that know jansson. */
#ifndef LOOM_BRIDGE_GATEWAY_ANSWERS_H
#define LOOM_BRIDGE_GATEWAY_ANSWERS_H

#include <jansson.h>

#include "bridge/gateway/internal.h"

/* One key of a question; without a text and with the number 0 it is not asked. */
typedef struct question_pair {
    const char *key;
    loom_str text; /* up to LOOM_TOPIC_MAX bytes */
    uint64_t number;
} question_pair;

/* Asks the control socket's question; there is a source. The answer is the caller's. NULL: out of memory. */
json_t *gateway_ask(const gateway *g, const question_pair *pairs, size_t count);
/* Turns the schemas of a list of capabilities, which are text, into JSON. */
void open_schemas(json_t *capabilities);
/* 200, and the value, which is borrowed. */
void answer_json(exchange *x, json_t *value);

#endif
