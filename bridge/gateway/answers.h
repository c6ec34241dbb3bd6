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

/* Asks the control socket's question; there is a source. The answer is the caller's. LOOM_EBUSY: not now. LOOM_ENOMEM. */
loom_status gateway_ask(const gateway *g, json_t **answer, const question_pair *pairs, size_t count);
/* What the client is told when it was not LOOM_OK. */
void answer_not_asked(exchange *x, loom_status st);
/* Turns the schemas of a list of capabilities, which are text, into JSON. */
void open_schemas(json_t *capabilities);
/* 200, and the value, which is borrowed. */
void answer_json(exchange *x, json_t *value);

#endif
