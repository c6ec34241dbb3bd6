/* SPDX-License-Identifier: Apache-2.0 */
/* From a deliver frame to the handlers. Runs on the loop. Anything but LOOM_OK: session.text says why the connection has to
 * be broken. */
#ifndef LOOM_SDK_EVENTS_DISPATCH_H
#define LOOM_SDK_EVENTS_DISPATCH_H

#include "sdk-c/events/events.h"

/* The items of one deliver frame. */
LOOM_MUST_CHECK loom_status dispatch_batch(loom_agent *a, const frame_batch *batch);
/* A handler waits: keeps what is left of the deliver frame being handled. */
LOOM_MUST_CHECK loom_status dispatch_set_aside(loom_agent *a);
/* Handles what was kept: all of it when no handler waits any more, or only what is immediate. */
LOOM_MUST_CHECK loom_status dispatch_kept(loom_agent *a);
LOOM_MUST_CHECK loom_status dispatch_kept_immediate(loom_agent *a);

#endif
