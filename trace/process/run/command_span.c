/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/run/command_span.h"

#include "base/str.h"
#include "trace/pipeline/mask_text.h"
#include "trace/process/run/run.h"

#include <errno.h>
#include <loom/span.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static void set_arguments(loom_span *span, char *const *argv)
{
    static const mask_rules rules = {.kinds = LOOM_MASK_KEYS};
    loom_str items[COMMAND_ARGUMENTS_MAX];
    size_t count = 0;
    bool secret = false;
    for (; argv[count] != NULL; count++) {
        if (count >= COMMAND_ARGUMENTS_MAX) {
            continue;
        }
        const loom_str argument = {argv[count], strnlen(argv[count], COMMAND_ARGUMENT_LENGTH)};
        items[count] = secret && argument.data[0] != '-' ? str_of(MASKED) : argument;
        secret = mask_secret_option(&rules, argument);
    }
    loom_span_set_strs(span, "process.command_args", items, count < COMMAND_ARGUMENTS_MAX ? count : COMMAND_ARGUMENTS_MAX);
    loom_span_set_int(span, "process.args_count", (int64_t)count);
}

loom_span *command_span_begin(loom_tracer *tracer, const char *name, char *const *argv, const loom_span_options *with)
{
    loom_span_options options = *with;
    options.kind = LOOM_SPAN_CLIENT;
    loom_span *span = loom_span_start(tracer, name != NULL ? name : base_name(argv[0]), &options);
    if (loom_span_is_recording(span)) {
        loom_span_set_string(span, "process.executable.name", base_name(argv[0]));
        if (strchr(argv[0], '/') != NULL) {
            loom_span_set_string(span, "process.executable.path", argv[0]);
        }
        set_arguments(span, argv);
    }
    return span;
}

void command_span_started(loom_span *span, pid_t pid)
{
    loom_span_set_int(span, "process.pid", pid);
}

static void set_error(loom_span *span, const char *type, const char *why)
{
    loom_span_set_string(span, "error.type", type);
    loom_span_set_status(span, LOOM_SPAN_ERROR, why);
}

void command_span_end(loom_span *span, int status)
{
    char type[32], why[64];
    loom_span_set_int(span, "process.exit.code", process_exit_code(status));
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        (void)snprintf(type, sizeof type, "signal_%d", WTERMSIG(status));
        (void)snprintf(why, sizeof why, "killed by SIG%s%s", name != NULL ? name : "RT", WCOREDUMP(status) ? ", core dumped" : "");
        set_error(span, type, why);
    } else if (WEXITSTATUS(status) != 0) {
        (void)snprintf(type, sizeof type, "exit_%d", WEXITSTATUS(status));
        (void)snprintf(why, sizeof why, "exit code %d", WEXITSTATUS(status));
        set_error(span, type, why);
    }
    loom_span_end(span);
}

void command_span_fail(loom_span *span, int error)
{
    const char *type = strerrorname_np(error);
    set_error(span, type != NULL ? type : "_OTHER", strerrordesc_np(error));
    loom_span_end(span);
}

void command_span_abort(loom_span *span, const char *type, const char *why)
{
    set_error(span, type, why);
    loom_span_end(span);
}
