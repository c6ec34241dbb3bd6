/* SPDX-License-Identifier: Apache-2.0 */
/* Watches who comes and goes, and lists who is there when told "list" on standard input. A line each.
 *   discovering_agent URL */
#include <loom/loom.h>

#include <stdio.h>
#include <string.h>

static void on_agent(loom_agent *agent, const char *id, bool there, void *user)
{
    (void)agent;
    (void)user;
    printf("%s agent %s\n", there ? "+" : "-", id);
    fflush(stdout);
}

static void on_capability(loom_agent *agent, const char *name, const char *version, const char *provider, bool there, void *user)
{
    (void)agent;
    (void)user;
    printf("%s capability %s %s of %s\n", there ? "+" : "-", name, version, provider);
    fflush(stdout);
}

static loom_status list(loom_agent *agent)
{
    loom_directory *agents, *capabilities;
    loom_status st = loom_agent_list_agents(agent, &(loom_directory_query){.capability = "math.add"}, &agents);
    for (size_t i = 0; st == LOOM_OK && i < agents->agent_count; i++) {
        printf("agent %s %s\n", agents->agents[i].id, agents->agents[i].state);
    }
    loom_directory_free(agents);
    if (st == LOOM_OK) {
        st = loom_agent_list_capabilities(agent, NULL, &capabilities);
        for (size_t i = 0; st == LOOM_OK && i < capabilities->capability_count; i++) {
            const loom_capability_entry *c = &capabilities->capabilities[i];
            printf("capability %s %s %s \"%s\" %s of %zu\n", c->name, c->version, c->kind, c->description, c->providers[0], c->provider_count);
        }
        loom_directory_free(capabilities);
    }
    printf("listed %s\n", loom_status_name(st));
    fflush(stdout);
    return st;
}

int main(int argc, char *argv[])
{
    static const loom_watch watch = {on_agent, on_capability, NULL};
    loom_agent *agent;
    char line[16];
    if (argc != 2 || loom_agent_open(&agent, &(loom_agent_options){.id = "discovering", .url = argv[1]}) != LOOM_OK) {
        return 2;
    }
    loom_status st = loom_agent_watch_agents(agent, &watch, NULL);
    if (st == LOOM_OK && (st = loom_agent_watch_capabilities(agent, &watch, NULL)) == LOOM_OK &&
        (st = loom_agent_wait_connected(agent, 10000)) == LOOM_OK) {
        puts("ready");
        fflush(stdout);
    }
    while (st == LOOM_OK && fgets(line, sizeof line, stdin) != NULL) {
        st = list(agent);
    }
    (void)loom_agent_close(agent);
    return st == LOOM_OK ? 0 : 1;
}
