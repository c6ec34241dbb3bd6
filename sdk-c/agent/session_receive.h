/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving side of a session. On the loop. */
#ifndef LOOM_SDK_AGENT_SESSION_RECEIVE_H
#define LOOM_SDK_AGENT_SESSION_RECEIVE_H

#include "sdk-c/agent/session.h"

/* The carrier has something: goes on connecting, or reads. */
void session_event(session *s);
/* Handles frames that have been read already. */
void session_read_on(session *s);
/* A delivery that came by this connection has been dealt with: credit is renewed when half of it is used. Anything but
 * LOOM_OK: session.text says why the connection has to be broken. */
LOOM_MUST_CHECK loom_status session_delivered(session *s, uint64_t connection, uint32_t len);

#endif
