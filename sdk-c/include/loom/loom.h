/* SPDX-License-Identifier: Apache-2.0 */
/* Everything an agent needs: #include <loom/loom.h>, link with -lloom. */
#ifndef LOOM_LOOM_H
#define LOOM_LOOM_H

#include <loom/action.h>
#include <loom/agent.h>
#include <loom/baggage.h>
#include <loom/collaboration.h>
#include <loom/context.h>
#include <loom/envelope.h>
#include <loom/log.h>
#include <loom/metrics.h>
#include <loom/status.h>
#include <loom/topic.h>
#include <loom/trace.h>
#include <loom/tracestate.h>
#include <loom/workflow.h>

#endif
