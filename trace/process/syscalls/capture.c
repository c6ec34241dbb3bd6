/* SPDX-License-Identifier: Apache-2.0 */
/* What the arguments of a call point to, in the memory of its caller. */
#include "trace/process/syscalls/tracer.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#include "trace/process/syscalls/memory.h"
#include "trace/process/syscalls/quiet.h"

enum { ADDRESS_MAX = sizeof(struct sockaddr_storage), ARGV_MAX = 2048, HOW_SIZE = 24 };

static void put_descriptor(tracee *e, unsigned arg)
{
    char path[PATH_MAX];
    const size_t len = memory_descriptor(&e->view, (int)e->event->args[arg], path, sizeof path);
    tracee_put(e, PART_FD, arg, path, len);
}

/* The directory in front of it counts for a path that is relative, or empty. */
static void put_path(tracee *e, unsigned arg, bool has_directory)
{
    const uint64_t address = e->event->args[arg];
    uint8_t *to = tracee_part(e, PART_PATH, arg, EVENT_TEXT_MAX);
    const size_t len = to != NULL ? memory_read_text(&e->view, address, (char *)to, EVENT_TEXT_MAX) : 0;
    const bool absolute = len > 0 && to[0] == '/';
    if (to != NULL) {
        tracee_end_part(e, len);
    }
    if (has_directory && !absolute && (int)e->event->args[arg - 1] != AT_FDCWD) {
        put_descriptor(e, arg - 1);
    }
}

static void put_bytes(tracee *e, part_kind kind, unsigned arg, uint64_t address, uint64_t len, size_t most)
{
    uint8_t *to = address != 0 ? tracee_part(e, kind, arg, most) : NULL;
    if (to != NULL) {
        tracee_end_part(e, memory_read(&e->view, address, to, len < most ? (size_t)len : most));
    }
}

/* The address in a struct msghdr. */
static void put_message_address(tracee *e, unsigned arg)
{
    struct msghdr message;
    if (memory_read(&e->view, e->event->args[arg], &message, sizeof message) == sizeof message && message.msg_namelen > 0) {
        put_bytes(e, PART_ADDRESS, arg, (uint64_t)(uintptr_t)message.msg_name, message.msg_namelen, ADDRESS_MAX);
    }
}

/* struct timespec and struct timeval are two longs each. */
static void put_time(tracee *e, unsigned arg, uint64_t unit_ns)
{
    int64_t time[2];
    if (e->event->args[arg] != 0 && memory_read(&e->view, e->event->args[arg], time, sizeof time) == sizeof time && time[0] >= 0 &&
        time[0] < INT64_MAX / 2000000000 && time[1] >= 0 && time[1] < 1000000000) {
        const uint64_t ns = (uint64_t)time[0] * 1000000000u + (uint64_t)time[1] * unit_ns;
        tracee_put(e, PART_TIME, arg, &ns, sizeof ns);
    }
}

static void put_argv(tracee *e, unsigned arg)
{
    uint8_t *to = tracee_part(e, PART_ARGV, arg, ARGV_MAX);
    if (to != NULL) {
        tracee_end_part(e, memory_read_strings(&e->view, e->event->args[arg], (char *)to, ARGV_MAX));
    }
}

void capture_before(tracee *e, const syscall_spec *spec)
{
    for (unsigned i = 0; spec->args[i] != '\0'; i++) {
        switch (spec->args[i]) {
        case 'p': put_path(e, i, i > 0 && spec->args[i - 1] == 'd'); break;
        case 'f': put_descriptor(e, i); break;
        case 'a': put_bytes(e, PART_ADDRESS, i, e->event->args[i], e->event->args[i + 1], ADDRESS_MAX); break;
        case 'g': put_message_address(e, i); break;
        case 'O': put_bytes(e, PART_OPEN_HOW, i, e->event->args[i], HOW_SIZE, HOW_SIZE); break;
        case 'T': put_time(e, i, 1); break;
        case 'V': put_time(e, i, 1000); break;
        case 'v': put_argv(e, i); break;
        default: break; /* the number says it */
        }
    }
}

void capture_after(tracee *e, const syscall_spec *spec)
{
    const char *address = strchr(spec->args, 'A');
    uint32_t len = 0;
    if (address == NULL || syscall_failed(e->event->result)) {
        return;
    }
    const unsigned arg = (unsigned)(address - spec->args);
    if (e->event->args[arg + 1] != 0 && memory_read(&e->view, e->event->args[arg + 1], &len, sizeof len) == sizeof len) {
        put_bytes(e, PART_ADDRESS, arg, e->event->args[arg], len, ADDRESS_MAX);
    }
}

void capture_program(tracee *e)
{
    char text[PATH_MAX];
    tracee_put(e, PART_EXECUTABLE, 0, text, memory_link(e->pid, "exe", text, sizeof text));
    tracee_put(e, PART_DIRECTORY, 0, text, memory_link(e->pid, "cwd", text, sizeof text));
    tracee_put(e, PART_ARGV, 0, text, memory_file(e->pid, "cmdline", text, ARGV_MAX));
}
