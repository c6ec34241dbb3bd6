// SPDX-License-Identifier: Apache-2.0
// Every public header is C++ too.
#include <loom/action.h>
#include <loom/discovery.h>
#include <loom/agent.h>
#include <loom/api.h>
#include <loom/baggage.h>
#include <loom/context.h>
#include <loom/envelope.h>
#include <loom/http.h>
#include <loom/log.h>
#include <loom/loom.h>
#include <loom/metrics.h>
#include <loom/pipeline.h>
#include <loom/propagation.h>
#include <loom/qos.h>
#include <loom/sampler.h>
#include <loom/span.h>
#include <loom/status.h>
#include <loom/topic.h>
#include <loom/trace.h>
#include <loom/tracestate.h>
#include <loom/version.h>
#include <loom/workflow.h>

int main()
{
    loom_agent_options options = {};
    loom_agent *agent = nullptr;
    return loom_agent_open(&agent, &options) == LOOM_EINVAL && agent == nullptr ? 0 : 1;
}
