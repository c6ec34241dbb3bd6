/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/loom/control.h"
#include "tools/loom/up/supervisor_internal.h"

/* On the pool. */
static void ask(uv_work_t *work)
{
    static const control_key none[] = {{NULL, NULL}};
    char why[PROBLEM_TEXT_SIZE];
    bus_question *q = work->data;
    q->agents = control_query(q->control, "agents", "agent", none, why, sizeof why);
}

/* An agent is of the service when it connects from the service's process group, which ipc tells ("ipc:pid=12,uid=0"), or when it
 * has the service's name. */
static bool is_of(const json_t *agent, const service *s)
{
    const char *id = json_string_value(json_object_get(agent, "agent")), *peer = json_string_value(json_object_get(agent, "peer"));
    const char *pid = peer != NULL ? strstr(peer, "pid=") : NULL;
    return (id != NULL && strcmp(id, s->item->name) == 0) ||
           (pid != NULL && s->id.pid > 0 && getpgid((pid_t)strtol(pid + 4, NULL, 10)) == s->id.pid);
}

static bool waits_for_bus(const service *s)
{
    return s->state == SERVICE_RUNNING && s->item->ready_on_bus;
}

static void on_answer(uv_work_t *work, int status)
{
    bus_question *q = work->data;
    supervisor *s = q->work.loop->data;
    const json_t *agent;
    size_t k;
    (void)status;
    q->pending = false;
    for (size_t i = 0; i < s->count && s->phase <= PHASE_RUNNING; i++) {
        json_array_foreach(q->agents, k, agent) {
            if (waits_for_bus(&s->services[i]) && is_of(agent, &s->services[i])) {
                service_set_state(&s->services[i], SERVICE_READY);
            }
        }
    }
    json_decref(q->agents);
    q->agents = NULL;
}

void on_bus_ask(supervisor *s)
{
    bus_question *q = &s->question;
    bool wanted = false;
    for (size_t i = 0; i < s->count; i++) {
        wanted = wanted || waits_for_bus(&s->services[i]);
    }
    if (!wanted || q->pending) {
        return;
    }
    q->work.data = q;
    q->pending = uv_queue_work(&s->loop, &q->work, ask, on_answer) == 0;
}
