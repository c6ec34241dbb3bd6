/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the options of loom_agent_open(), with a sentence for people. */
#ifndef LOOM_SDK_AGENT_OPTIONS_H
#define LOOM_SDK_AGENT_OPTIONS_H

#include <loom/agent.h>

#include "base/url.h"

enum { AGENT_URLS_MAX = 8 };

/* *urls: where it may connect to, to be freed. LOOM_EINVAL; loom_last_error() has the reason. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status agent_options_check(const loom_agent_options *options, url **urls, unsigned *count);

#endif
