/* SPDX-License-Identifier: Apache-2.0 */
/* A question to the broker by the view's own agent (envelope/WIRE.md, 4.10), where nobody has named a control socket. */
#ifndef LOOM_TOOLS_VIEW_BUS_LINK_H
#define LOOM_TOOLS_VIEW_BUS_LINK_H

#include "tools/loom/view/internal.h"

/* As control_question_ask() has it, but for where; keys are borrowed; done is called by the agent, or not at all: NULL, and why says why. */
view_link_question *view_link_ask(view *v, const control_question_options *question, char *why, size_t size);
/* The end is not told. NULL is allowed. */
void view_link_cancel(view_link_question *q);

#endif
