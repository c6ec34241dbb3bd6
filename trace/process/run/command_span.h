/* SPDX-License-Identifier: Apache-2.0 */
/* The span of a command (OpenTelemetry semantic conventions, "CLI", client spans): CLIENT, named after the executable, with
 * process.executable.name, process.executable.path, process.command_args, process.pid, process.exit.code and error.type.
 * Arguments that follow an option of a secret's name are masked here; the pipeline masks what looks like one by itself.
 *
 * Threads: the span's. */
#ifndef LOOM_TRACE_PROCESS_RUN_COMMAND_SPAN_H
#define LOOM_TRACE_PROCESS_RUN_COMMAND_SPAN_H

#include <loom/trace.h>

#include <sys/types.h>

#define COMMAND_ARGUMENTS_MAX 64u       /* of process.command_args; more are counted in process.args_count alone */
#define COMMAND_ARGUMENT_LENGTH 1024u   /* bytes of one */

/* name NULL: that of the executable. with: parent, tracestate; kind is set here. The caller ends it by command_span_end(). */
loom_span *command_span_begin(loom_tracer *tracer, const char *name, char *const *argv, const loom_span_options *with);
void command_span_started(loom_span *span, pid_t pid);
/* status: as waitpid() has it. */
void command_span_end(loom_span *span, int status);
/* It never ran. error: an errno value. */
void command_span_fail(loom_span *span, int error);
/* It was killed on purpose, or its output was refused. type: a word for error.type. */
void command_span_abort(loom_span *span, const char *type, const char *why);

#endif
