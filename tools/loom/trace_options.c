/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/trace_options.h"

#include "base/duration.h"
#include "base/str.h"
#include "host/cli/term.h"
#include "host/config/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool trace_options_open(const command *c, const options *o, trace_source *source, int *exit_code)
{
    const char *file = options_value(o, "file");
    if (file != NULL && options_value(o, "db") != NULL) {
        *exit_code = command_misuse(c, "use --db or --file, not both");
        return false;
    }
    if (trace_source_open(source, options_value(o, "db"), file) != LOOM_OK) {
        *exit_code = command_fail(c, "%s", source->problem);
        return false;
    }
    if (source->report.bad > 1) {
        command_fail(c, "%s (and %zu more lines that cannot be read)", source->problem, source->report.bad - 1);
    } else if (source->report.bad == 1) {
        command_fail(c, "%s; the line is left out", source->problem);
    }
    if (source->report.cut) {
        command_fail(c, "%s ends in the middle of a line, which is ignored", file);
    }
    return true;
}

const char *trace_options_db(const command *c, const options *o, char **fallback, int *exit_code)
{
    const char *path = options_value(o, "db");
    *fallback = NULL;
    if (path != NULL) {
        return path;
    }
    const loom_status st = store_default_path(fallback);
    if (st != LOOM_OK) {
        *exit_code = command_fail(c, "%s", st == LOOM_ENOTFOUND ? "HOME is not set; name the database with --db" : loom_status_text(st));
        return NULL;
    }
    return *fallback;
}

bool trace_options_color(const command *c, const options *o, bool *out, int *exit_code)
{
    const char *text = options_value(o, "color");
    term_color choice = TERM_COLOR_AUTO;
    if (text != NULL && !term_color_parse(&choice, text)) {
        *exit_code = command_misuse(c, "--color must be one of %s, not \"%s\"", TERM_COLOR_CHOICES, text);
        return false;
    }
    *out = term_wants_color(choice, STDOUT_FILENO);
    return true;
}

bool trace_options_name_one(const command *c, const options *o, int *exit_code)
{
    bool last = options_is_on(o, "last");
    if (last == (o->operand_count > 0)) {
        *exit_code = command_misuse(c, last ? "use a trace id or --last, not both"
                                            : "missing trace: give its id, a prefix of it, or --last");
        return false;
    }
    return true;
}

bool trace_options_find(const command *c, const options *o, trace_source *source, uint8_t id[LOOM_TRACE_ID_SIZE],
                        int *exit_code)
{
    bool last = options_is_on(o, "last");
    loom_status st = last ? trace_source_latest(source, id) : trace_source_find(source, o->operands[0], id);
    if (st != LOOM_OK) {
        *exit_code = st == LOOM_EINVAL ? command_misuse(c, "%s, not \"%s\"", source->problem, o->operands[0])
                      : st == LOOM_ENOTFOUND && !last ? command_fail_with(c, LOOM_ENORESPONDERS, "%s", source->problem)
                                                      : command_fail(c, "%s", source->problem);
        return false;
    }
    return true;
}

bool trace_options_number(const command *c, const options *o, const char *name, uint64_t fallback, uint64_t *out,
                          int *exit_code)
{
    const char *text = options_value(o, name);
    *out = fallback;
    if (text == NULL) {
        return true;
    }
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) {
        *exit_code = command_misuse(c, "--%s must be a whole number, not \"%s\"", name, text);
        return false;
    }
    return true;
}

bool trace_options_retention(const command *c, const options *o, store_retention *out, int *exit_code)
{
    enum { SPANS = 1000000 };
    const char *age = options_value(o, "retention-age"), *size = options_value(o, "retention-size");
    int64_t bytes = 2 * ((int64_t)1 << 30);
    *out = (store_retention){0};
    if (!trace_options_number(c, o, "retention-spans", SPANS, &out->spans, exit_code)) {
        return false;
    }
    if (age != NULL && strcmp(age, "0") != 0 && !duration_parse(&out->age_ns, str_of(age))) {
        *exit_code = command_misuse(c, "--retention-age must be a time, such as 36h or 7d, not \"%s\"", age);
        return false;
    }
    if (size != NULL && !config_parse_size(&bytes, str_of(size))) {
        *exit_code = command_misuse(c, "--retention-size must be a size, such as 500MiB or 2GiB, not \"%s\"", size);
        return false;
    }
    out->bytes = (uint64_t)bytes;
    return true;
}
