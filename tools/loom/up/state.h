/* SPDX-License-Identifier: Apache-2.0 */
/* state.json: what runs, for `loom ps`, for `loom down`, and for whoever cleans up behind an `up` that was killed.
 *
 *     {"pid": …, "start": …, "file": "/…/loom.toml", "phase": "starting"|"running"|"stopping", "url": URL,
 *      "unlogged_lines": 0, "services": [
 *         {"name": "worker-1", "kind": "agent", "state": "ready", "pid": …, "start": …, "restarts": 2, "since_unix_ms": …,
 *          "suppressed_lines": 0, "last_exit": "code 1", "command": […]}, …]}
 *
 * pid and start are 0 of what does not run. */
#ifndef LOOM_TOOLS_UP_STATE_H
#define LOOM_TOOLS_UP_STATE_H

#include <jansson.h>

#include "tools/loom/up/groups.h"
#include "tools/loom/up/project.h"

/* Replaces the file in one piece. False: errno tells. */
bool state_write(const project *p, const json_t *state);
/* The caller's; NULL: there is none, or it is damaged. */
json_t *state_read(const project *p);
void state_remove(const project *p);
/* The process that an object of it names. */
process_id state_process(const json_t *object);
/* Ends what an `up` has left behind, and removes the state; the number of groups that still ran. */
size_t state_clean(const project *p, unsigned wait_ms);

#endif
