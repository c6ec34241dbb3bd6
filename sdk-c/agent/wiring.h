/* SPDX-License-Identifier: Apache-2.0 */
/* Which layer handles what of a session. */
#ifndef LOOM_SDK_AGENT_WIRING_H
#define LOOM_SDK_AGENT_WIRING_H

#include "sdk-c/agent/session.h"

extern const session_ops agent_session_ops;

#endif
