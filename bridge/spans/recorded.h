/* SPDX-License-Identifier: Apache-2.0 */
/* What agents that leave had recorded, in this process's flight recorder: it is exported when somebody asks for its trace. A record
 * has the resource and the scope of its span with it, so that nothing of an agent is left here when it is overwritten.
 *
 * Threads: one at a time for putting; the recorder's for exporting. */
#ifndef LOOM_BRIDGE_SPANS_RECORDED_H
#define LOOM_BRIDGE_SPANS_RECORDED_H

#include "bridge/spans/foreign.h"

/* Whether spans can be put there, to be exported by this processor. */
bool recorded_is_on(loom_span_processor *processor);
/* One checked Span message. false: it does not fit, or there is no room. */
bool recorded_put(loom_span_processor *processor, const foreign_scope *scope, loom_bytes span);

#endif
