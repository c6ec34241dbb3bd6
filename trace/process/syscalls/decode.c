/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/decode.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "trace/process/syscalls/decode_parts.h"
#include "trace/process/syscalls/quiet.h"

/* ---- attributes ---- */

static loom_attr *next_attr(decoded *out, const char *key, loom_attr_type type)
{
    loom_attr *attr = &out->attrs[out->count];
    out->count += out->count < DECODED_ATTRS_MAX ? 1 : 0;
    *attr = (loom_attr){.key = key, .type = type};
    return attr;
}

void decoded_int(decoded *out, const char *key, int64_t value)
{
    next_attr(out, key, LOOM_ATTR_INT)->value.integer = value;
}

void decoded_str(decoded *out, const char *key, loom_str value)
{
    if (value.len > 0) {
        next_attr(out, key, LOOM_ATTR_STRING)->value.string = value;
    }
}

loom_str decoded_text(decoded *out, const char *format, ...)
{
    char *to = out->text + out->used;
    const size_t room = DECODED_TEXT_MAX - out->used;
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(to, room, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= room) {
        return (loom_str){0};
    }
    out->used += (size_t)len;
    return (loom_str){to, (size_t)len};
}

static void put_strings(decoded *out, const char *key, loom_str list)
{
    size_t count = 0;
    while (list.len > 0 && count < DECODED_STRINGS_MAX) {
        const size_t len = strnlen(list.data, list.len);
        out->strings[count++] = (loom_str){list.data, len};
        const size_t step = len < list.len ? len + 1 : len;
        list = str_tail(list, step);
    }
    if (count > 0) {
        loom_attr *attr = next_attr(out, key, LOOM_ATTR_STRINGS);
        attr->value.array.items = out->strings;
        attr->value.array.count = count;
    }
}

/* ---- parts ---- */

static const event_part *part_of(const event *e, part_kind kind, unsigned arg)
{
    const event_part *part = event_next_part(e, NULL);
    while (part != NULL && (part->kind != kind || part->arg != arg)) {
        part = event_next_part(e, part);
    }
    return part;
}

loom_str decode_basename(loom_str path)
{
    size_t from = path.len;
    while (from > 0 && path.data[from - 1] != '/') {
        from--;
    }
    return str_tail(path, from);
}

/* A relative path behind a directory's descriptor becomes one from the root. */
static void put_path(decoded *out, const event *e, const syscall_spec *spec, unsigned arg, const char *key)
{
    const event_part *path = part_of(e, PART_PATH, arg);
    const event_part *directory = arg > 0 && spec->args[arg - 1] == 'd' ? part_of(e, PART_FD, arg - 1) : NULL;
    const loom_str text = path != NULL ? event_part_text(path) : (loom_str){0};
    if (directory == NULL) {
        decoded_str(out, key, text);
        return;
    }
    const loom_str in = event_part_text(directory);
    decoded_str(out, key, text.len == 0 ? in : decoded_text(out, "%.*s/%.*s", (int)in.len, in.data, (int)text.len, text.data));
}

static void put_fd(decoded *out, const event *e, unsigned arg, bool second)
{
    const int fd = (int)e->args[arg];
    const event_part *path = part_of(e, PART_FD, arg);
    if (fd >= 0) {
        decoded_int(out, second ? "syscall.fd_2" : "syscall.fd", fd);
    }
    if (path != NULL) {
        decoded_str(out, second ? "syscall.fd_2_path" : "syscall.fd_path", event_part_text(path));
    }
}

static void put_size(decoded *out, uint64_t size)
{
    if (size <= INT64_MAX) {
        decoded_int(out, "syscall.size", (int64_t)size);
    }
}

static void put_milliseconds(decoded *out, double ms)
{
    next_attr(out, "syscall.timeout_ms", LOOM_ATTR_DOUBLE)->value.real = ms;
}

/* Until a time, and not for one. */
static bool is_absolute(const event *e, const syscall_spec *spec)
{
    return (strcmp(spec->name, "clock_nanosleep") == 0 && (e->args[1] & TIMER_ABSTIME) != 0) ||
           (strcmp(spec->name, "futex") == 0 && ((int)e->args[1] & FUTEX_CMD_MASK) != FUTEX_WAIT);
}

static void put_time(decoded *out, const event *e, const syscall_spec *spec, unsigned arg)
{
    const event_part *part = part_of(e, PART_TIME, arg);
    uint64_t ns;
    if (part != NULL && !is_absolute(e, spec) && part->len == sizeof ns) {
        memcpy(&ns, part + 1, sizeof ns);
        put_milliseconds(out, (double)ns / 1e6);
    }
}

static void put_open_how(decoded *out, const event *e, unsigned arg)
{
    const event_part *part = part_of(e, PART_OPEN_HOW, arg);
    uint64_t how[2];
    if (part != NULL && part->len >= sizeof how) {
        memcpy(how, part + 1, sizeof how);
        decode_open_flags(out, how[0]);
    }
}

static void put_argument(decoded *out, const event *e, const syscall_spec *spec, unsigned arg, unsigned seen[2])
{
    const uint64_t value = e->args[arg];
    switch (spec->args[arg]) {
    case 'p': put_path(out, e, spec, arg, seen[0]++ == 0 ? "file.path" : "syscall.new_path"); break;
    case 'f': put_fd(out, e, arg, seen[1]++ > 0); break;
    case 'o': decode_open_flags(out, value); break;
    case 'O': put_open_how(out, e, arg); break;
    case 'm':
        if (arg == 0 || spec->args[arg - 1] != 'o' || (e->args[arg - 1] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) != 0) {
            decoded_str(out, "syscall.mode", decoded_text(out, "0%o", (unsigned)value & 07777u));
        }
        break;
    case 'n': put_size(out, value); break;
    case 'a':
    case 'A':
    case 'g': decode_address(out, part_of(e, PART_ADDRESS, arg), strcmp(spec->name, "bind") == 0 || strcmp(spec->name, "getsockname") == 0); break;
    case 'D': decode_family(out, (int)value); break;
    case 'Y': decode_socket_type(out, (int)value); break;
    case 'i': decoded_int(out, "syscall.pid", (int)value); break;
    case 's': decode_signal(out, (int)value); break;
    case 't':
        if ((int)value >= 0) {
            put_milliseconds(out, (int)value);
        }
        break;
    case 'T':
    case 'V': put_time(out, e, spec, arg); break;
    case 'v': {
        const event_part *argv = part_of(e, PART_ARGV, arg);
        put_strings(out, "process.command_args", argv != NULL ? event_part_text(argv) : (loom_str){0});
        break;
    }
    case 'c': decode_futex(out, (int)value); break;
    case 'C': decode_fcntl(out, (int)value); break;
    case 'I': decoded_str(out, "syscall.operation", decoded_text(out, "0x%x", (unsigned)value)); break;
    default: break;
    }
}

/* code.* of OpenTelemetry's semantic conventions ("Source Code Attributes"). */
static void put_source(decoded *out, const event *e)
{
    const event_part *file = event_find_part(e, PART_FILE), *function = event_find_part(e, PART_FUNCTION), *line = event_find_part(e, PART_LINE);
    uint32_t place[2];
    if (file != NULL) {
        decoded_str(out, "code.file.path", event_part_text(file));
    }
    if (function != NULL) {
        decoded_str(out, "code.function.name", event_part_text(function));
    }
    if (line != NULL && line->len == sizeof place) {
        memcpy(place, line + 1, sizeof place);
        decoded_int(out, "code.line.number", place[0]);
        if (place[1] > 0) {
            decoded_int(out, "code.column.number", place[1]);
        }
    }
}

void decode_call(decoded *out, const event *e, const syscall_spec *spec)
{
    unsigned seen[2] = {0, 0};
    out->count = out->used = 0;
    decoded_str(out, "syscall.name", str_of(spec->name));
    decoded_int(out, "process.pid", e->pid);
    decoded_int(out, "thread.id", e->tid);
    decoded_int(out, "syscall.result", e->result);
    if (syscall_failed(e->result)) {
        const char *name = syscall_error_name((int)-e->result);
        decoded_str(out, "syscall.errno", str_of(name));
    }
    for (unsigned i = 0; spec->args[i] != '\0'; i++) {
        put_argument(out, e, spec, i, seen);
    }
    put_source(out, e);
}

void decode_program(decoded *out, const event *e)
{
    const event_part *path = event_find_part(e, PART_EXECUTABLE), *directory = event_find_part(e, PART_DIRECTORY), *argv = event_find_part(e, PART_ARGV);
    out->count = out->used = 0;
    if (path != NULL) {
        decoded_str(out, "process.executable.name", decode_basename(event_part_text(path)));
        decoded_str(out, "process.executable.path", event_part_text(path));
    }
    if (directory != NULL) {
        decoded_str(out, "process.working_directory", event_part_text(directory));
    }
    if (argv != NULL) {
        put_strings(out, "process.command_args", event_part_text(argv));
    }
}
