/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the options of loom_agent_open(), with a sentence for people. */
#ifndef LOOM_SDK_AGENT_OPTIONS_H
#define LOOM_SDK_AGENT_OPTIONS_H

#include <loom/agent.h>

#include "base/url.h"

/* Forgets what the last failed loom_agent_open() of this thread said. */
void agent_open_error_clear(void);
void agent_open_error_set(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* LOOM_EINVAL; agent_open_error_set() has the reason. */
LOOM_MUST_CHECK loom_status agent_options_check(const loom_agent_options *options, url *to);

#endif
