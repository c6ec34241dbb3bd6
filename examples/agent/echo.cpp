// SPDX-License-Identifier: Apache-2.0
// The same as echo.c in C++11: an agent that closes itself, handlers as lambdas.
#include <loom/loom.h>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

struct close_agent {
    void operator()(loom_agent *agent) const { (void)loom_agent_close(agent); }
};
using agent_ptr = std::unique_ptr<loom_agent, close_agent>;

static agent_ptr open_agent(const loom_agent_options &options)
{
    loom_agent *agent = nullptr;
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        throw std::runtime_error(loom_last_error());
    }
    return agent_ptr(agent);
}

int main()
{
    const char *const topics[] = {"greetings.>", nullptr};
    loom_agent_options options = LOOM_INIT;
    options.id = "echo-cpp";
    options.topics = topics;
    options.on_event = [](loom_agent *agent, const char *topic, loom_envelope *event, void *) {
        const loom_bytes payload = loom_envelope_payload(event);
        std::cout << topic << ": " << std::string(reinterpret_cast<const char *>(payload.data), payload.len) << std::endl;
        return loom_agent_emit(agent, "echo.said", payload, nullptr);
    };
    try {
        const agent_ptr agent = open_agent(options);
        return loom_agent_run_until_signal(agent.get()) == LOOM_OK ? 0 : 1;
    } catch (const std::exception &e) {
        std::cerr << "echo-cpp: " << e.what() << '\n';
        return 1;
    }
}
