/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/exec_container.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/loom/program_folder.h"

enum { ARGUMENTS_MAX = 64 };

bool exec_container_is_wanted(const options *o)
{
    return options_has(o, "container") || options_has(o, "image");
}

bool exec_container_check(const command *c, const options *o, int *exit_code)
{
    static const char *const parts[] = {"engine", "engine-arg", "run-arg", "with-libs"};
    for (size_t i = 0; !exec_container_is_wanted(o) && i < sizeof parts / sizeof parts[0]; i++) {
        if (options_has(o, parts[i])) {
            *exit_code = command_misuse(c, "--%s needs --container or --image", parts[i]);
            return false;
        }
    }
    return true;
}

static bool read_arguments(const command *c, const options *o, const char *name, loom_str out[ARGUMENTS_MAX], size_t *count,
                           int *exit_code)
{
    *count = options_values(o, name, out, ARGUMENTS_MAX);
    if (*count > ARGUMENTS_MAX) {
        *exit_code = command_misuse(c, "at most %d --%s options", ARGUMENTS_MAX, name);
        return false;
    }
    return true;
}

engine *exec_container_open(const command *c, const options *o, char *const *argv, char *const *environment, int *exit_code)
{
    char why[CONTAINER_PROBLEM_SIZE];
    loom_str engine_args[ARGUMENTS_MAX], run_args[ARGUMENTS_MAX];
    engine_options with = {.engine = options_value(o, "engine"), .container = options_value(o, "container"),
                           .image = options_value(o, "image"), .engine_args = engine_args, .run_args = run_args,
                           .argv = argv, .environment = environment};
    engine *e;
    if (!read_arguments(c, o, "engine-arg", engine_args, &with.engine_arg_count, exit_code) ||
        !read_arguments(c, o, "run-arg", run_args, &with.run_arg_count, exit_code)) {
        return NULL;
    }
    char *libraries = options_is_on(o, "with-libs") ? program_share() : NULL;
    if (libraries == NULL && options_is_on(o, "with-libs")) {
        (void)command_fail(c, "cannot find the trace libraries, the container runs without them; set LOOM_LIBRARIES_DIR to their folder");
    }
    with.libraries = libraries;
    const loom_status st = engine_open(&e, &with, why);
    free(libraries);
    if (st == LOOM_EINVAL) {
        *exit_code = command_misuse(c, "%s", why);
    } else if (st != LOOM_OK) {
        (void)command_fail(c, "%s", why[0] != '\0' ? why : loom_status_text(st));
        *exit_code = EXIT_ENGINE;
    }
    return e;
}

void exec_container_describe(engine *e, const options *o, loom_span *span)
{
    const char *id = engine_container_id(e), *name = options_value(o, "container"), *image = options_value(o, "image");
    loom_span_set_string(span, "container.runtime", engine_name(e));
    if (id != NULL) {
        loom_span_set_string(span, "container.id", id);
    }
    if (name != NULL) {
        loom_span_set_string(span, "container.name", name);
    }
    if (image != NULL) {
        loom_span_set_string(span, "container.image.name", image);
    }
}
