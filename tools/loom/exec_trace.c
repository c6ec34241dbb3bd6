/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/exec_trace.h"

#include "base/duration.h"
#include "base/str.h"
#include "tools/loom/bus_client.h"
#include "trace/export/exporter.h"
#include "trace/export/processor.h"
#include "trace/export/span_link.h"

#include <stdlib.h>

/* Spans: a command may end with many at once, and one whose system calls are traced makes many all the time. */
enum { QUEUE_SIZE = 16 * 1024, SYSCALLS_QUEUE_SIZE = 64 * 1024, SYSCALLS_BATCH_SIZE = 8 * 1024, DELAY_MS = 200 };

static void on_bad_variable(void *user, const char *text)
{
    (void)command_fail(user, "%s", text);
}

/* From the exporter's thread. Without a collector a command is run all the same, and prints what it prints. */
static void on_export_error(void *user, const char *text)
{
    exec_trace *t = user;
    if (atomic_load(&t->opening)) { /* about settings */
        (void)command_fail(t->command, "%s", text);
    } else if (t->asked_for && !atomic_exchange(&t->export_failed, true)) {
        (void)command_fail(t->command, "the trace is not exported: %s", text);
    }
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

/* Options come before the environment. */
static bool apply_options(exec_trace *t, const options *o, loom_span_processor_options *with, int *exit_code)
{
    const char *endpoint = options_value(o, "otlp-endpoint"), *protocol = options_value(o, "otlp-protocol");
    const char *timeout = options_value(o, "flush-timeout");
    uint64_t ns = 1000000000u;
    t->asked_for = t->asked_for || endpoint != NULL;
    if (!exporter_set_otlp(with, endpoint, protocol)) {
        *exit_code = command_misuse(t->command, "--otlp-protocol must be grpc, http/protobuf or http/json, not \"%s\"", protocol);
        return false;
    }
    if (timeout != NULL && (!duration_parse(&ns, str_of(timeout)) || ns / 1000000 > INT32_MAX)) {
        *exit_code = command_misuse(t->command, "--flush-timeout must be a duration such as 500ms or 2s, not \"%s\"", timeout);
        return false;
    }
    t->flush_ms = (uint32_t)(ns / 1000000);
    return true;
}

/* What the environment does not say. */
static void set_sizes(loom_span_processor_options *with, bool syscalls)
{
    if (!is_set("OTEL_BSP_MAX_QUEUE_SIZE")) {
        with->max_queue_size = syscalls ? SYSCALLS_QUEUE_SIZE : QUEUE_SIZE;
        if (syscalls && !is_set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")) {
            with->max_export_batch_size = SYSCALLS_BATCH_SIZE;
        }
    }
    if (!is_set("OTEL_BSP_SCHEDULE_DELAY")) {
        with->schedule_delay_ms = DELAY_MS;
    }
}

/* ---- over a link ---- */

static void on_state(loom_agent *agent, loom_agent_state state, loom_status why, const char *text, void *user)
{
    exec_trace *t = user;
    (void)agent, (void)why;
    if (state == LOOM_AGENT_DISCONNECTED || state == LOOM_AGENT_CLOSED) {
        atomic_store(&t->unreachable, true);
        on_export_error(t, text);
    }
}

static void on_agent_error(loom_agent *agent, loom_status why, const char *text, void *user)
{
    (void)agent, (void)why;
    on_export_error(user, text);
}

/* An agent that does nothing else. */
static void open_carrier(exec_trace *t)
{
    char id[LOOM_AGENT_ID_MAX + 1];
    if (processor_span_link(t->tracing.processor) == NULL) {
        return;
    }
    bus_client_make_id(id, "exec");
    t->asked_for = true;
    if (loom_agent_open(&t->carrier, &(loom_agent_options){.id = id, .telemetry = t->tracing.provider, .on_state = on_state,
                                                           .on_error = on_agent_error, .user = t}) != LOOM_OK) {
        on_export_error(t, loom_agent_open_error());
    }
}

/* A command may be over before the link is there. */
static void await_carrier(exec_trace *t)
{
    enum { LOOK_MS = 20 };
    for (uint32_t waited = 0; waited < t->flush_ms && !atomic_load(&t->unreachable); waited += LOOK_MS) {
        if (loom_agent_wait_connected(t->carrier, LOOK_MS) != LOOM_ETIMEDOUT) {
            return;
        }
    }
}

bool exec_trace_open(exec_trace *t, const command *c, const options *o, int *exit_code)
{
    *t = (exec_trace){.command = c,
                      .asked_for = is_set("OTEL_EXPORTER_OTLP_ENDPOINT") || is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") ||
                                   is_set("TRACING_ENDPOINT")};
    loom_span_processor_options with;
    loom_span_processor_options_from_env(&with, NULL);
    if (!apply_options(t, o, &with, exit_code)) {
        return false;
    }
    loom_telemetry_check_env(on_bad_variable, (void *)(uintptr_t)c);
    with.on_error = on_export_error;
    with.user = t;
    set_sizes(&with, options_has(o, "syscalls") || options_has(o, "pid"));
    t->queue_size = with.max_queue_size;
    /* What leaves is masked whatever the environment says: command lines hold secrets, and nobody reads them before. */
    atomic_store(&t->opening, true);
    const loom_status st = tracing_open(&t->tracing, &with,
                                        &(tracing_identity){.service = options_value(o, "service"), .name = "loom-exec", .masked = true});
    atomic_store(&t->opening, false);
    if (st != LOOM_OK) {
        (void)command_fail(t->command, "the command is not traced: %s", loom_status_text(st));
    }
    open_carrier(t);
    return true;
}

void exec_trace_prepare(const exec_trace *t)
{
    if (t->tracing.processor != NULL) {
        processor_prepare_exporter(t->tracing.processor);
    }
}

void exec_trace_flush(exec_trace *t)
{
    if (t->carrier != NULL) {
        await_carrier(t);
    }
    tracing_flush(&t->tracing, t->flush_ms);
}

void exec_trace_close(exec_trace *t)
{
    exec_trace_flush(t);
    (void)loom_agent_close_within(t->carrier, t->flush_ms); /* NULL: nothing */
    t->carrier = NULL;
    tracing_close(&t->tracing);
}
