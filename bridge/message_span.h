/* SPDX-License-Identifier: Apache-2.0 */
/* The two spans of the bridge: bridge.publish and bridge.forward (DESIGN section 2). */
#ifndef LOOM_BRIDGE_MESSAGE_SPAN_H
#define LOOM_BRIDGE_MESSAGE_SPAN_H

#include "bridge/session.h"

/* Starts the span of a hop of this message, child of its hop context. NULL: there is nothing to record; *patch then tells
 * whether ctx must still be written into the message (it had none, and now carries an unsampled decision). */
loom_span *message_span_start(bridge *b, const char *name, loom_span_kind kind, const envelope_view *view, loom_str agent,
                              loom_trace_context *ctx, bool *patch);

#endif
