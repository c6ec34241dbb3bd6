/* SPDX-License-Identifier: Apache-2.0 */
/* The questions of the control socket, asked over the agent link instead: calls of the broker's own capabilities system.OP
 * (envelope/WIRE.md, 4.10). So --url and LOOM_URL are all that a command needs, wherever the broker is. */
#ifndef LOOM_TOOLS_LINK_QUESTION_H
#define LOOM_TOOLS_LINK_QUESTION_H

#include "tools/loom/bus_client.h"
#include "tools/loom/question.h"

/* An agent that asks, question after question; after an outage it connects again by itself. */
typedef struct link_asker {
    bus_client client;
} link_asker;

/* Connects. False: why says why, *exit_code what kind of failure it is, and there is nothing to close. */
bool link_asker_open(link_asker *a, const command *c, const options *o, char *why, size_t size, int *exit_code);
/* item_key NULL: the answer; otherwise its list, page by page, without the agent that asks. NULL: as above. */
json_t *link_asker_ask(link_asker *a, const char *op, const char *item_key, const control_key *keys, char *why, size_t size,
                       int *exit_code);
void link_asker_close(link_asker *a);

/* ---- for who asks with an agent of its own ---- */

/* Looking is no part of anybody's trace: makes a context current that is not sampled, until loom_context_pop(). */
uint64_t link_question_push_unsampled(void);

#endif
