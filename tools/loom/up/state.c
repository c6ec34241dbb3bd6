/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/state.h"

#include <stdlib.h>
#include <unistd.h>

#include "host/whole_file.h"

bool state_write(const project *p, const json_t *state)
{
    char *path = project_path(p, "state.json"), *text = json_dumps(state, 0);
    const bool ok = path != NULL && text != NULL && whole_file_write(path, 0666, text);
    free(text);
    free(path);
    return ok;
}

json_t *state_read(const project *p)
{
    char *path = project_path(p, "state.json");
    json_t *state = path != NULL ? json_load_file(path, 0, NULL) : NULL;
    free(path);
    return state;
}

void state_remove(const project *p)
{
    char *path = project_path(p, "state.json");
    if (path != NULL) {
        (void)unlink(path);
    }
    free(path);
}

process_id state_process(const json_t *object)
{
    return (process_id){(pid_t)json_integer_value(json_object_get(object, "pid")),
                        (uint64_t)json_integer_value(json_object_get(object, "start"))};
}

size_t state_clean(const project *p, unsigned wait_ms)
{
    json_t *state = state_read(p), *services = json_object_get(state, "services"), *service;
    size_t i, count = 0;
    pid_t *groups = calloc(json_array_size(services) + 1, sizeof *groups);
    json_array_foreach(services, i, service) {
        const process_id id = state_process(service);
        if (groups != NULL && process_id_runs(&id)) {
            groups[count++] = id.pid;
        }
    }
    if (count > 0) {
        groups_end(groups, count, wait_ms);
    }
    free(groups);
    json_decref(state);
    state_remove(p);
    return count;
}
