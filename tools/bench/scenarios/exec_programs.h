/* SPDX-License-Identifier: Apache-2.0 */
/* What the exec scenario measures with other programs: system calls beside strace, and the trace libraries of tools. */
#ifndef LOOM_TOOLS_BENCH_SCENARIOS_EXEC_PROGRAMS_H
#define LOOM_TOOLS_BENCH_SCENARIOS_EXEC_PROGRAMS_H

#include "tools/bench/series.h"
#include "tools/bench/setup.h"

/* A command by itself, under `strace -f` and under `loom exec --syscalls`, with the same set, in turn; WORK_FIND,
 * WORK_PYTHON_START or WORK_SQLITE. Loom exports its spans to a receiver. */
bool exec_syscalls_round(const bench_setup *setup, bench_sample *out);

/* The benchmark that lies beside a library; WORK_LIBRARY_PYTHON or WORK_LIBRARY_NODE. Of its figures the largest counts. */
bool exec_library_round(const bench_setup *setup, bench_sample *out);

#endif
