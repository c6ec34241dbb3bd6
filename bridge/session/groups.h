/* SPDX-License-Identifier: Apache-2.0 */
/* Which of a session's subscriptions are in groups, and how those are called: for spans, and for what is given back. The broker decides who is a member;
 * what is remembered here of a subscription that it has refused does no harm. */
#ifndef LOOM_BRIDGE_SESSION_GROUPS_H
#define LOOM_BRIDGE_SESSION_GROUPS_H

#include "bridge/session/session.h"

enum { SESSION_GROUPS_MAX = 1024 }; /* as many as a broker allows one agent */

/* A subscribe or unsubscribe frame goes up. Without memory the group is not known. */
void groups_note(session *s, const frame *f);
/* Empty: the subscription is of no group that is known. */
loom_str groups_name(const session *s, uint64_t subscription);
void groups_fini(session *s);

/* ---- give_back.c ---- */

/* The session is about to leave the bus: deliveries of its groups are taken out of its outgoing bytes, and given back. */
void session_give_back_unsent(session *s);

#endif
