/* SPDX-License-Identifier: Apache-2.0 */
/* What a span costs, with Loom and with the OpenTelemetry SDKs of other languages: no bus, and no network. Each round is a
 * process of the SDK's own program (tools/bench/spans), which does the work and prints what it took. */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/scenarios/scenarios.h"

/* In the process that becomes the program: it ends with the one that waits for it. */
static void become(char *program, bench_work work, double seconds, int out)
{
    char length[32], name[16];
    snprintf(name, sizeof name, "%s", bench_work_names[work]);
    snprintf(length, sizeof length, "%.3f", seconds);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out, STDOUT_FILENO);
    execv(program, (char *[]){program, name, length, NULL});
    _exit(127);
}

/* Reads what was printed into the shared memory. */
static bool take_result(FILE *in, shared_spans *made)
{
    unsigned long long spans, ns, cpu_ns, allocations;
    if (fscanf(in, "spans %llu ns %llu cpu_ns %llu allocations %llu", &spans, &ns, &cpu_ns, &allocations) != 4 || spans == 0) {
        return false;
    }
    atomic_store(&made->spans, spans);
    atomic_store(&made->ns, ns);
    atomic_store(&made->cpu_ns, cpu_ns);
    atomic_store(&made->allocations, allocations);
    return true;
}

/* Returns the exit code of the process that runs the program. */
static int run_program(const bench_site *site, const bench_peer *peer)
{
    char program[SITE_URL_SIZE];
    int ends[2];
    if (!peer->span_program(program) || pipe(ends) != 0) {
        return 1;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become(program, site->setup->shape.work, site->setup->seconds, ends[1]);
    }
    close(ends[1]);
    FILE *in = pid > 0 ? fdopen(ends[0], "r") : NULL;
    const bool told = in != NULL && take_result(in, &site->shared->made);
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0 || !told) {
        bench_complain("%s %s failed", program, bench_work_names[site->setup->shape.work]);
        return 1;
    }
    shared_set(&site->shared->made.done, 1);
    shared_wait(&site->shared->phase, PHASE_END, UINT64_MAX / 4);
    return 0;
}

static bool is_done(const bench_site *site)
{
    return atomic_load(&site->shared->made.done) != 0;
}

static void report(const shared_spans *made, bench_sample *out)
{
    const double spans = (double)atomic_load(&made->spans), ns = (double)atomic_load(&made->ns);
    out->values[METRIC_RATE] = spans / (ns / 1e9);
    out->values[METRIC_SPAN_NS] = ns / spans;
    out->values[METRIC_CPU] = (double)atomic_load(&made->cpu_ns) / 1e3 / spans;
    out->values[METRIC_ALLOCATIONS] = (double)atomic_load(&made->allocations) / spans;
    out->sent = atomic_load(&made->spans);
}

static bool round_of(const bench_setup *setup, const bench_peer *peer, bench_sample *out)
{
    bench_site site;
    series_clear(out);
    if (!site_open(&site, setup)) {
        return false;
    }
    const pid_t pid = processes_fork(&site.processes, "spans");
    if (pid == 0) {
        _exit(run_program(&site, peer));
    }
    const bool ok = pid > 0 && site_sleep(&site, setup->seconds) && site_wait(&site, is_done, "the last span");
    if (ok) {
        report(&site.shared->made, out);
    }
    shared_set(&site.shared->phase, PHASE_END);
    out->interrupted = site_close(&site);
    return ok;
}

static bool suits(const bench_peer *peer)
{
    return peer->span_program != NULL;
}

static const bench_shape shapes[] = {
    {.work = WORK_SAMPLED}, {.work = WORK_UNSAMPLED}, {.work = WORK_DISABLED}, {.work = WORK_ENCODE}};

const bench_scenario bench_scenario_span = {
    .name = "span",
    .summary = "a span with 5 attributes, without a bus: sampled, unsampled, disabled, encoded",
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof shapes[0],
    .sizeless = true,
    .suits = suits,
    .round = round_of,
};
