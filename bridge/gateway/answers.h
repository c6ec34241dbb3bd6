/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values, and answers made of them, for the files that know jansson. */
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

/* Asks what the control socket is asked under this op: the broker in this process, or over the bus the one that is elsewhere.
 * take answers the exchange with what it is given; where there is nothing to give, the exchange is failed. */
void gateway_ask(exchange *x, const char *op, const question_pair *pairs, size_t count, void (*take)(exchange *x, loom_bytes answer));
/* An answer that is a list. NULL: it was none, and the exchange has been failed. */
json_t *gateway_list(exchange *x, loom_bytes answer);
/* JSON_… flags. Integers of any size are read: those that jansson has no integer for as reals, as then all others of the text. */
json_t *gateway_read_json(loom_bytes text, size_t flags, json_error_t *error);
/* Turns the schemas of a list of capabilities, which are text, into JSON. */
void open_schemas(json_t *capabilities);
/* 200, and the value, which is borrowed. */
void answer_json(exchange *x, json_t *value);

#endif
