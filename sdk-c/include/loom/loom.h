/* SPDX-License-Identifier: Apache-2.0 */
/* Everything an agent needs: #include <loom/loom.h>, link with -lloom.
 *
 * NULL crashes no function, whatever it is passed for: what needs the argument returns LOOM_EINVAL, and loom_last_error() says
 * which one is missing; what has no status returns nothing, zero or an empty text. */
#ifndef LOOM_LOOM_H
#define LOOM_LOOM_H

#include <loom/action.h>
#include <loom/agent.h>
#include <loom/baggage.h>
#include <loom/collaboration.h>
#include <loom/context.h>
#include <loom/discovery.h>
#include <loom/envelope.h>
#include <loom/log.h>
#include <loom/metrics.h>
#include <loom/status.h>
#include <loom/topic.h>
#include <loom/trace.h>
#include <loom/tracestate.h>
#include <loom/version.h>
#include <loom/workflow.h>

#endif
