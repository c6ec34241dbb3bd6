/* SPDX-License-Identifier: Apache-2.0 */
/* Every verb: verb_NAME() is in NAME.c, verb_trace_NAME() in trace_NAME.c; agents, caps and topics are in directory.c, up, down,
 * ps and logs in up/, new in new/, view in view/. */
#ifndef LOOM_TOOLS_VERBS_H
#define LOOM_TOOLS_VERBS_H

#include "tools/loom/verb.h"

int verb_agents(int argc, char *const argv[]);
int verb_bench(int argc, char *const argv[]);
int verb_caps(int argc, char *const argv[]);
int verb_check(int argc, char *const argv[]);
int verb_completion(int argc, char *const argv[]);
int verb_context(int argc, char *const argv[]);
int verb_down(int argc, char *const argv[]);
int verb_drain(int argc, char *const argv[]);
int verb_exec(int argc, char *const argv[]);
int verb_flow(int argc, char *const argv[]);
int verb_kick(int argc, char *const argv[]);
int verb_invoke(int argc, char *const argv[]);
int verb_logs(int argc, char *const argv[]);
int verb_new(int argc, char *const argv[]);
int verb_ping(int argc, char *const argv[]);
int verb_provide(int argc, char *const argv[]);
int verb_ps(int argc, char *const argv[]);
int verb_pub(int argc, char *const argv[]);
int verb_reply(int argc, char *const argv[]);
int verb_request(int argc, char *const argv[]);
int verb_stats(int argc, char *const argv[]);
int verb_sub(int argc, char *const argv[]);
int verb_top(int argc, char *const argv[]);
int verb_topics(int argc, char *const argv[]);
int verb_trace(int argc, char *const argv[]);
int verb_trace_check(int argc, char *const argv[]);
int verb_trace_keep(int argc, char *const argv[]);
int verb_trace_collect(int argc, char *const argv[]);
int verb_trace_ls(int argc, char *const argv[]);
int verb_trace_show(int argc, char *const argv[]);
int verb_up(int argc, char *const argv[]);
int verb_view(int argc, char *const argv[]);

#endif
