/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    PAGE = 4096, /* the smallest there is; more pieces do no harm */
    TEXT_CHUNK = 256,
    POINTERS_MAX = 64,
    LOOKS_TO_OPEN = 16,
    DESCRIPTORS_MAX = 512 /* from this one on they are left to whatever else the tracer opens */
};

/* ---- descriptors that stay open ---- */

/* 0: not open. */
static int few(int fd)
{
    if (fd >= DESCRIPTORS_MAX) {
        close(fd);
    }
    return fd > 0 && fd < DESCRIPTORS_MAX ? fd : 0;
}

static int open_entry(pid_t tid, const char *name, int flags)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)tid, name);
    return few(open(path, O_RDONLY | O_CLOEXEC | flags));
}

static void open_when_worth_it(memory_view *v)
{
    if (v->looks <= LOOKS_TO_OPEN && v->looks++ == LOOKS_TO_OPEN) { /* once: what cannot be opened is done without */
        v->bytes = open_entry(v->tid, "mem", 0);
        v->descriptors = open_entry(v->tid, "fd", O_DIRECTORY);
    }
}

void memory_view_close(memory_view *v)
{
    if (v->bytes > 0) {
        close(v->bytes);
    }
    if (v->descriptors > 0) {
        close(v->descriptors);
    }
    for (unsigned i = 0; i < MEMORY_LINKS; i++) {
        if (v->links[i].handle > 0) {
            close(v->links[i].handle);
        }
    }
    *v = (memory_view){.tid = v->tid};
}

/* ---- memory ---- */

static size_t read_in_pieces(pid_t tid, uint64_t address, void *to, size_t len)
{
    size_t done = 0;
    while (done < len) { /* a piece that ends at its page: the page behind it may not be there */
        const uint64_t at = address + done;
        const size_t in_page = PAGE - (size_t)(at % PAGE), left = len - done;
        struct iovec local = {(char *)to + done, left};
        struct iovec remote[2] = {{(void *)(uintptr_t)at, left < in_page ? left : in_page}, {0}};
        remote[1] = (struct iovec){(void *)(uintptr_t)(at + remote[0].iov_len), left - remote[0].iov_len < PAGE ? left - remote[0].iov_len : PAGE};
        local.iov_len = remote[0].iov_len + remote[1].iov_len;
        ssize_t got = process_vm_readv(tid, &local, 1, remote, remote[1].iov_len > 0 ? 2 : 1, 0);
        if (got <= 0) {
            break;
        }
        done += (size_t)got;
        if ((size_t)got < local.iov_len) {
            break;
        }
    }
    return done;
}

/* What the descriptor does not give (an address with a tag, a program that ended meanwhile) is tried by the other way. */
size_t memory_read(memory_view *v, uint64_t address, void *to, size_t len)
{
    open_when_worth_it(v);
    const ssize_t got = v->bytes > 0 ? pread(v->bytes, to, len, (off_t)address) : 0;
    return got > 0 ? (size_t)got : read_in_pieces(v->tid, address, to, len);
}

size_t memory_read_text(memory_view *v, uint64_t address, char *to, size_t size)
{
    size_t done = 0;
    while (address != 0 && done < size) {
        const size_t wanted = size - done < TEXT_CHUNK ? size - done : TEXT_CHUNK;
        const size_t got = memory_read(v, address + done, to + done, wanted);
        const char *end = memchr(to + done, '\0', got);
        if (end != NULL) {
            return (size_t)(end - to);
        }
        done += got;
        if (got < wanted) {
            break;
        }
    }
    return done;
}

size_t memory_read_strings(memory_view *v, uint64_t address, char *to, size_t size)
{
    uint64_t pointers[POINTERS_MAX];
    size_t done = 0;
    const size_t count = address != 0 ? memory_read(v, address, pointers, sizeof pointers) / sizeof pointers[0] : 0;
    for (size_t i = 0; i < count && pointers[i] != 0 && done + 1 < size; i++) {
        done += memory_read_text(v, pointers[i], to + done, size - done - 1);
        to[done++] = '\0';
    }
    return done;
}

/* ---- /proc ---- */

static size_t read_link_at(int directory, const char *path, char *to, size_t size)
{
    const ssize_t len = readlinkat(directory, path, to, size);
    return len > 0 ? (size_t)len : 0;
}

size_t memory_link(pid_t pid, const char *name, char *to, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return read_link_at(AT_FDCWD, path, to, size);
}

/* Without snprintf(), which takes longer than the link. */
static char *put_number(char *to, unsigned value)
{
    char digits[12];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

/* Of a descriptor that is asked for again: without it the kernel looks the number up in two folders. 0: there is none. */
static int link_handle(memory_view *v, int fd, const char *name)
{
    const unsigned slot = (unsigned)fd % MEMORY_LINKS;
    if (v->links[slot].number != fd) {
        if (v->links[slot].handle > 0) {
            close(v->links[slot].handle);
        }
        v->links[slot].number = fd;
        v->links[slot].handle = 0;
    } else if (v->links[slot].handle == 0) {
        v->links[slot].handle = few(openat(v->descriptors, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    }
    return v->links[slot].handle;
}

size_t memory_descriptor(memory_view *v, int fd, char *to, size_t size)
{
    char path[64] = "/proc/";
    if (fd < 0) {
        return 0;
    }
    open_when_worth_it(v);
    if (v->descriptors > 0) {
        *put_number(path, (unsigned)fd) = '\0';
        const int link = link_handle(v, fd, path);
        return link > 0 ? read_link_at(link, "", to, size) : read_link_at(v->descriptors, path, to, size);
    }
    char *at = put_number(path + 6, (unsigned)v->tid);
    memcpy(at, "/fd/", 4);
    at = put_number(at + 4, (unsigned)fd);
    *at = '\0';
    return read_link_at(AT_FDCWD, path, to, size);
}

size_t memory_file(pid_t pid, const char *name, char *to, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, to, size) : 0;
    if (fd >= 0) {
        close(fd);
    }
    return len > 0 ? (size_t)len : 0;
}
