/* SPDX-License-Identifier: Apache-2.0 */
/* Answering an event: to its reply_to, in its thread and correlation. */
#ifndef LOOM_SDK_REPLY_H
#define LOOM_SDK_REPLY_H

#include "sdk-c/collaboration/mailbox.h"

/* loom_agent_reply() with headers of ours before the caller's, up to 4. asking: an answer that asks in turn; may be NULL. */
LOOM_MUST_CHECK loom_status reply_with(loom_agent *a, loom_envelope *event, loom_bytes payload,
                                       const loom_emit_options *options, const loom_header *own, size_t own_count,
                                       const exchange_address *asking);

#endif
