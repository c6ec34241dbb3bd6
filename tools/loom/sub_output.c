/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/sub_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "envelope/id.h"
#include "tools/loom/event_json.h"
#include "tools/loom/message_options.h"
#include "tools/loom/trace_options.h"
#include "trace/view/text.h"

enum { NAME_SIZE = 280 }; /* of a dumped file: number and topic */

static bool read_style(sub_output *out, const command *c, const options *o, int *exit_code)
{
    const char *format = options_value(o, "format");
    char why[EVENT_FORMAT_ERROR_SIZE];
    out->style = options_is_on(o, "json") ? OUTPUT_JSON : options_is_on(o, "raw") ? OUTPUT_RAW : format != NULL ? OUTPUT_FORMAT : OUTPUT_LINE;
    if (options_is_on(o, "json") + options_is_on(o, "raw") + (format != NULL) > 1) {
        *exit_code = command_misuse(c, "use one of --json, --raw and --format");
        return false;
    }
    if (format != NULL && event_format_parse(&out->format, format, why) != LOOM_OK) {
        *exit_code = command_misuse(c, "--format: %s", why);
        return false;
    }
    return true;
}

static bool read_time(sub_output *out, const command *c, const options *o, int *exit_code)
{
    static const char *const kinds[] = {[TIME_ABSOLUTE] = "absolute", [TIME_RELATIVE] = "relative", [TIME_DELTA] = "delta"};
    const char *kind = options_value(o, "timestamps");
    for (size_t i = TIME_ABSOLUTE; kind != NULL && i <= TIME_DELTA; i++) {
        out->time = strcmp(kind, kinds[i]) == 0 ? (output_time)i : out->time;
    }
    if (kind != NULL && out->time == TIME_NONE) {
        *exit_code = command_misuse(c, "--timestamps must be absolute, relative or delta, not \"%s\"", kind);
        return false;
    }
    for (size_t i = 0; kind != NULL && i < o->operand_count; i++) {
        for (size_t k = TIME_ABSOLUTE; k <= TIME_DELTA; k++) {
            if (strcmp(o->operands[i], kinds[k]) == 0 && !options_is_on(o, "quiet")) {
                (void)command_fail(c, "note: \"%s\" is a filter here; the kind of --timestamps is written --timestamps=%s", kinds[k], kinds[k]);
            }
        }
    }
    return true;
}

static bool open_folder(sub_output *out, const command *c, const options *o, int *exit_code)
{
    const char *folder = options_value(o, "dump");
    if (folder == NULL) {
        return true;
    }
    if ((mkdir(folder, 0777) != 0 && errno != EEXIST) || (out->dump_fd = open(folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC)) < 0) {
        *exit_code = command_fail(c, "%s: %s", folder, strerror(errno));
        return false;
    }
    return true;
}

bool sub_output_open(sub_output *out, const command *c, const options *o, int *exit_code)
{
    *out = (sub_output){.options = o, .verbose = options_is_on(o, "verbose"), .terminal = isatty(STDOUT_FILENO) == 1,
                        .dump_fd = -1, .began_ns = clock_monotonic_ns()};
    out->last_ns = out->began_ns;
    return read_style(out, c, o, exit_code) && read_time(out, c, o, exit_code) && open_folder(out, c, o, exit_code) &&
           trace_options_color(c, o, &out->colour, exit_code);
}

void sub_output_close(sub_output *out)
{
    if (out->dump_fd >= 0) {
        close(out->dump_fd);
        out->dump_fd = -1;
    }
}

static void put_time(sub_output *out, const loom_envelope *event)
{
    char text[TEXT_TIME_SIZE];
    const uint64_t now = clock_monotonic_ns(), since = out->time == TIME_RELATIVE ? out->began_ns : out->last_ns;
    if (out->time == TIME_ABSOLUTE) {
        text_time(text, loom_envelope_timestamp_unix_ns(event));
        printf("%s  ", text);
    } else if (out->time != TIME_NONE) {
        printf("%12.6f  ", (double)(now - since) / 1e9);
    }
    out->last_ns = now;
}

static bool put_header(void *user, loom_header header)
{
    (void)user;
    fputs("  ", stdout);
    text_put(stdout, header.key, SIZE_MAX);
    fputs(": ", stdout);
    text_put(stdout, header.value, SIZE_MAX);
    putchar('\n');
    return true;
}

static void put_more(const loom_envelope *event)
{
    char buf[LOOM_REPLY_TO_SIZE];
    loom_envelope_headers(event, put_header, NULL);
    (void)put_header(NULL, (loom_header){{"reply_to", 8}, loom_envelope_reply_to(event, buf)});
}

static void put_line(sub_output *out, const loom_envelope *event, const char *trace_id)
{
    const char *bold = out->colour ? "\033[1m" : "", *dim = out->colour ? "\033[2m" : "", *plain = out->colour ? "\033[0m" : "";
    const loom_bytes payload = loom_envelope_payload(event);
    put_time(out, event);
    fputs(bold, stdout);
    text_put(stdout, loom_envelope_topic(event), SIZE_MAX);
    printf("%s  %s", plain, dim);
    text_put(stdout, loom_envelope_type(event), SIZE_MAX);
    fputs(loom_envelope_type(event).len > 0 ? "  " : "", stdout);
    text_put(stdout, loom_envelope_sender(event), SIZE_MAX);
    printf("  %s%s  ", trace_id, plain);
    text_put(stdout, (loom_str){(const char *)payload.data, payload.len}, SIZE_MAX);
    putchar('\n');
    if (out->verbose) {
        put_more(event);
    }
}

static void put_raw(sub_output *out, const loom_envelope *event)
{
    const loom_bytes payload = loom_envelope_payload(event);
    put_time(out, event);
    fwrite(payload.data, 1, payload.len, stdout);
    putchar('\n');
}

/* Its number, and its topic with nothing in it that a path or a shell would take for something else. */
static void name_file(char name[NAME_SIZE], uint64_t number, loom_str topic)
{
    int len = snprintf(name, NAME_SIZE, "%06" PRIu64 "-", number);
    for (size_t i = 0; i < topic.len && len < NAME_SIZE - 1; i++) {
        const char c = topic.data[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
        name[len++] = plain ? c : '_';
    }
    name[len < NAME_SIZE ? len : NAME_SIZE - 1] = '\0';
}

/* A file that is there already is somebody's. */
static void dump(sub_output *out, const loom_envelope *event)
{
    char name[NAME_SIZE];
    const loom_bytes payload = loom_envelope_payload(event);
    name_file(name, out->number, loom_envelope_topic(event));
    const int fd = openat(out->dump_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    size_t at = 0;
    ssize_t wrote = 0;
    while (fd >= 0 && at < payload.len && (wrote = write(fd, payload.data + at, payload.len - at)) > 0) {
        at += (size_t)wrote;
    }
    if (fd < 0 || at < payload.len) {
        snprintf(out->problem, sizeof out->problem, "cannot write %.100s: %s", name, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

bool sub_output_put(sub_output *out, const loom_envelope *event)
{
    char hex[LOOM_TRACE_ID_HEX_SIZE];
    const char *trace_id = message_trace_id_of(hex, out->options, event);
    out->number++;
    if (out->dump_fd >= 0) {
        dump(out, event);
    }
    errno = 0;
    switch (out->style) {
    case OUTPUT_JSON: json_print_line(event_to_json(event, trace_id)); break;
    case OUTPUT_RAW: put_raw(out, event); break;
    case OUTPUT_FORMAT: event_format_print(&out->format, stdout, event, trace_id, out->number, out->terminal); break;
    case OUTPUT_LINE: put_line(out, event, trace_id != NULL ? trace_id : "-"); break; /* for people, something has to stand there */
    case OUTPUT_NOTHING: break;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        out->reader_gone = errno == EPIPE;
        snprintf(out->problem, sizeof out->problem, "cannot write: %s", strerror(errno != 0 ? errno : EIO));
    }
    return out->problem[0] == '\0';
}
