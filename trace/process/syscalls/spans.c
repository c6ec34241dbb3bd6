/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/spans.h"

#include <loom/span.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/str.h"
#include "trace/process/syscalls/decode.h"
#include "trace/process/syscalls/quiet.h"
#include "trace/process/syscalls/source_map.h"

enum { NAME_MAX_LEN = 64, SPAN_NAME_SIZE = 96 };

typedef struct process {
    loom_span *span;
    loom_trace_context context;
    char name[NAME_MAX_LEN]; /* of the program; empty: not known */
} process;

loom_status span_maker_init(span_maker *m, loom_tracer *tracer, const syscall_spec *const *specs, const struct source_map *map)
{
    *m = (span_maker){.tracer = tracer, .specs = specs, .map = map, .decoded = malloc(sizeof(decoded))};
    m->unix_minus_monotonic_ns = (int64_t)(clock_unix_ns() - clock_monotonic_ns());
    return m->decoded != NULL ? LOOM_OK : LOOM_ENOMEM;
}

static uint64_t unix_time(const span_maker *m, uint64_t monotonic_ns)
{
    return monotonic_ns + (uint64_t)m->unix_minus_monotonic_ns;
}

/* ---- processes ---- */

static void set_process_name(process *p, loom_str name)
{
    char text[SPAN_NAME_SIZE];
    (void)snprintf(p->name, sizeof p->name, "%.*s", (int)name.len, name.data);
    (void)snprintf(text, sizeof text, "process: %s", p->name);
    loom_span_set_name(p->span, text);
}

/* parent 0: none that is known. NULL: no memory. */
static process *begin_process(span_maker *m, pid_t pid, pid_t parent, uint64_t start_ns)
{
    process *p = calloc(1, sizeof *p);
    if (p == NULL || number_table_add(&m->processes, (uint64_t)pid, p) != LOOM_OK) {
        free(p);
        return NULL;
    }
    const process *above = number_table_get(&m->processes, (uint64_t)parent);
    p->span = loom_span_start(m->tracer, "process", &(loom_span_options){
                                                        .parent = above != NULL ? &above->context : &m->root,
                                                        .start_unix_ns = unix_time(m, start_ns)});
    p->context = *loom_span_context(p->span);
    loom_span_set_int(p->span, "process.pid", pid);
    if (parent > 0) {
        loom_span_set_int(p->span, "process.parent_pid", parent);
    }
    if (above != NULL && above->name[0] != '\0') { /* a copy of it, until it runs something else */
        set_process_name(p, str_of(above->name));
        loom_span_set_string(p->span, "process.executable.name", p->name);
    }
    return p;
}

static process *process_of(span_maker *m, const event *e)
{
    process *p = number_table_get(&m->processes, (uint64_t)e->pid);
    return p != NULL ? p : begin_process(m, e->pid, 0, e->start_ns);
}

static void on_exec(span_maker *m, const event *e)
{
    process *p = process_of(m, e);
    const event_part *path = event_find_part(e, PART_EXECUTABLE);
    if (p == NULL) {
        return;
    }
    decode_program(m->decoded, e);
    for (size_t i = 0; i < m->decoded->count; i++) {
        loom_span_set_attr(p->span, &m->decoded->attrs[i]);
    }
    if (path != NULL) {
        const loom_attr attr = {.key = "process.executable.path", .type = LOOM_ATTR_STRING, .value.string = event_part_text(path)};
        loom_span_add_event_at(p->span, "exec", unix_time(m, e->start_ns), &attr, 1);
        set_process_name(p, decode_basename(event_part_text(path)));
    }
}

/* As a command line tool's span has it (OpenTelemetry semantic conventions, "CLI programs"). */
static void set_end(loom_span *span, int status)
{
    char type[32];
    const bool killed = WIFSIGNALED(status);
    const int number = killed ? WTERMSIG(status) : WEXITSTATUS(status);
    loom_span_set_int(span, "process.exit.code", killed ? 128 + number : number);
    if (number != 0) {
        (void)snprintf(type, sizeof type, killed ? "signal_%d" : "exit_%d", number);
        loom_span_set_string(span, "error.type", type);
        loom_span_set_status(span, LOOM_SPAN_ERROR, NULL);
    }
}

static void on_exit_of(span_maker *m, const event *e)
{
    process *p = process_of(m, e);
    if (p == NULL) {
        return;
    }
    set_end(p->span, (int)e->result);
    loom_span_end_at(p->span, unix_time(m, e->end_ns));
    (void)number_table_remove(&m->processes, (uint64_t)e->pid);
    free(p);
}

/* ---- calls ---- */

static const char *name_of(span_maker *m, unsigned number, const syscall_spec *spec)
{
    char text[SPAN_NAME_SIZE];
    if (m->names[number] == NULL) {
        (void)snprintf(text, sizeof text, "syscall: %s", spec->name);
        m->names[number] = strdup(text);
    }
    return m->names[number] != NULL ? m->names[number] : spec->name;
}

static void on_call(span_maker *m, const event *e)
{
    const syscall_spec *spec = e->number < SYSCALL_NUMBERS_MAX ? m->specs[e->number] : NULL;
    const process *p = process_of(m, e);
    if (spec == NULL || p == NULL || !loom_span_is_recording(p->span)) {
        return;
    }
    decode_call(m->decoded, e, spec);
    source_map_apply(m->map, m->decoded);
    loom_span *span = loom_span_start(m->tracer, name_of(m, e->number, spec),
                                      &(loom_span_options){.kind = LOOM_SPAN_INTERNAL,
                                                           .parent = &p->context,
                                                           .start_unix_ns = unix_time(m, e->start_ns),
                                                           .attrs = m->decoded->attrs,
                                                           .attr_count = m->decoded->count});
    const int error = syscall_failed(e->result) ? (int)-e->result : 0;
    if (error != 0 && syscall_error_matters(spec, error, event_path(e))) {
        const char *name = syscall_error_name(error);
        loom_span_set_string(span, "error.type", name != NULL ? name : "_OTHER");
        loom_span_set_status(span, LOOM_SPAN_ERROR, strerrordesc_np(error));
    }
    loom_span_end_at(span, unix_time(m, e->end_ns));
    m->made++;
}

void span_maker_take(span_maker *m, const event *e)
{
    switch ((event_type)e->type) {
    case EVENT_CALL: on_call(m, e); break;
    case EVENT_PROCESS: (void)begin_process(m, e->pid, (pid_t)e->args[0], e->start_ns); break;
    case EVENT_EXEC: on_exec(m, e); break;
    case EVENT_EXIT: on_exit_of(m, e); break;
    }
}

void span_maker_fini(span_maker *m)
{
    size_t position = 0;
    void *value;
    while (number_table_next(&m->processes, &position, &value)) {
        process *p = value;
        loom_span_end(p->span);
        free(p);
    }
    number_table_fini(&m->processes);
    for (size_t i = 0; i < SYSCALL_NUMBERS_MAX; i++) {
        free(m->names[i]);
    }
    free(m->decoded);
}
