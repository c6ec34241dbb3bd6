/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing with headers of ours next to the caller's. */
#ifndef LOOM_SDK_OWN_HEADERS_H
#define LOOM_SDK_OWN_HEADERS_H

#include <loom/agent.h>

struct emit_ask;

/* loom_agent_emit(); own headers come before the caller's, and win over theirs. ask: NULL, or what emit_asking() takes. */
LOOM_MUST_CHECK loom_status emit_with_headers(loom_agent *a, const char *topic, loom_bytes payload,
                                              const loom_emit_options *options, const loom_header *own, size_t own_count,
                                              struct emit_ask *ask);

#endif
