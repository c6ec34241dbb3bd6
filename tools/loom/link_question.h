/* SPDX-License-Identifier: Apache-2.0 */
/* The questions of the control socket, asked over the agent link instead: a call of the broker's own capability system.OP
 * (envelope/WIRE.md, 4.10). So --url and LOOM_URL are all that a command needs, wherever the broker is. */
#ifndef LOOM_TOOLS_LINK_QUESTION_H
#define LOOM_TOOLS_LINK_QUESTION_H

#include "tools/loom/control_question.h"
#include "tools/loom/verb.h"

/* As control_ask(), or with an item_key as control_list(). The command's options have to have OPTIONS_BUS. */
json_t *link_question_ask(const command *c, const options *o, const char *op, const char *item_key, const control_key *keys,
                          int *exit_code);

#endif
