/* SPDX-License-Identifier: Apache-2.0 */
/* A question to a broker and its answer, over whichever connection: the control socket (control_question.h), an agent of a
 * command (link_question.h), or that of the web view (view/bus_link.h). */
#ifndef LOOM_TOOLS_QUESTION_H
#define LOOM_TOOLS_QUESTION_H

#include <jansson.h>
#include <loom/envelope.h>
#include <loom/status.h>
#include <msgpack.h>

/* A text that goes with a question; value NULL: it does not. */
typedef struct control_key {
    const char *name, *value;
} control_key;

/* Texts are borrowed. Zeroed but for the first three. */
typedef struct broker_question {
    const char *op;
    const char *item_key;           /* not NULL: the answer is a list under op's name, asked for page by page, ordered by this key */
    const control_key *keys;        /* ended by a NULL name; may be NULL */
    json_t *items;                  /* of a list, so far */
    unsigned pages;
    char after[LOOM_TOPIC_MAX + 1]; /* the last name of the page before; "": this is the first */
} broker_question;

/* The question, or the one for the next page, as msgpack (envelope/WIRE.md, 5.3). op: written into it; may be NULL. */
void question_pack(const broker_question *q, const char *op, msgpack_sbuffer *out);
/* Takes an answer. LOOM_OK: *whole, the receiver's, is the answer, or all pages of the list; NULL: another page is to be asked for.
 * Otherwise why says why: what the broker refuses with; LOOM_EPROTO: that is no answer of a broker; LOOM_ENOMEM. */
loom_status question_take(broker_question *q, json_t *answer, json_t **whole, char *why, size_t size);
void question_fini(broker_question *q);

#endif
