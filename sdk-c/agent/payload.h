/* SPDX-License-Identifier: Apache-2.0 */
/* What a message carries, on the span of its handler: only where somebody has asked for that (LOOM_TRACE_PAYLOAD) and has said what is
 * to be masked in it (LOOM_TRACE_MASK). */
#ifndef LOOM_SDK_AGENT_PAYLOAD_H
#define LOOM_SDK_AGENT_PAYLOAD_H

#include <loom/trace.h>

enum { PAYLOAD_SPAN_MAX = 16 * 1024 }; /* bytes */

/* How many bytes of a payload spans have; 0: none. *problem: what is wrong with the variable (static text), else NULL. */
size_t payload_max_from_env(const char **problem);
/* Sets loom.payload, the text's first max bytes, and loom.payload.cut if there were more. What is no text is not kept. */
void payload_set(loom_span *span, loom_bytes payload, size_t max);

#endif
