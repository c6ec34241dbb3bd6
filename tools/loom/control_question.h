/* SPDX-License-Identifier: Apache-2.0 */
/* A question to a broker's control socket, on a loop and without a thread: one connection, one deadline for each answer,
 * dialling included. A broker that is stopped holds up nobody. */
#ifndef LOOM_TOOLS_CONTROL_QUESTION_H
#define LOOM_TOOLS_CONTROL_QUESTION_H

#include <uv.h>

#include "tools/loom/question.h"

typedef struct control_question control_question;

typedef struct control_question_options {
    const char *where;        /* URL of the socket */
    const char *op;
    const char *item_key;     /* not NULL: the answer is a list under op's name, asked for page by page, ordered by this key */
    const control_key *keys;  /* ended by a NULL name; may be NULL; copied */
    uint32_t answer_ms;       /* the connection and the first answer, and then each further page, take no longer */
    /* The end, once and from the loop. LOOM_OK: answer is the receiver's; of a list, the array of all pages. Otherwise it is
     * NULL, and why says why. LOOM_ETIMEDOUT: there is a broker, and it does not answer. LOOM_ENOTCONN: there is none.
     * LOOM_EINVAL: where is no URL of one. LOOM_EDENIED: it is not to be trusted. LOOM_EPROTO: that is no answer of a broker. LOOM_ENOMEM. What the broker refuses
     * with. */
    void (*done)(void *user, loom_status status, json_t *answer, const char *why);
    void *user;
} control_question_options;

/* where, op and item_key are borrowed until the end. NULL: out of memory. */
control_question *control_question_ask(uv_loop_t *loop, const control_question_options *options);
/* The end is not told. The loop frees what is left. NULL is allowed. */
void control_question_cancel(control_question *q);

#endif
