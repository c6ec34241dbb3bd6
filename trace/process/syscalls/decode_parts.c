/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/decode_parts.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/str.h"

typedef struct named {
    uint64_t value;
    const char *name;
} named;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *name_of(const named *names, size_t count, uint64_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].value == value) {
            return names[i].name;
        }
    }
    return NULL;
}

/* The name, or the number when it has none. */
static void put_named(decoded *out, const char *key, const named *names, size_t count, uint64_t value)
{
    const char *name = name_of(names, count, value);
    decoded_str(out, key, name != NULL ? str_of(name) : decoded_text(out, "%llu", (unsigned long long)value));
}

void decode_open_flags(decoded *out, uint64_t flags)
{
    static const named modes[] = {{O_RDONLY, "O_RDONLY"}, {O_WRONLY, "O_WRONLY"}, {O_RDWR, "O_RDWR"}};
    static const named bits[] = {/* those that contain others first */
                                 {O_TMPFILE, "O_TMPFILE"},     {O_SYNC, "O_SYNC"},           {O_CREAT, "O_CREAT"},
                                 {O_EXCL, "O_EXCL"},           {O_NOCTTY, "O_NOCTTY"},       {O_TRUNC, "O_TRUNC"},
                                 {O_APPEND, "O_APPEND"},       {O_NONBLOCK, "O_NONBLOCK"},   {O_DSYNC, "O_DSYNC"},
                                 {O_ASYNC, "O_ASYNC"},         {O_DIRECT, "O_DIRECT"},       {O_DIRECTORY, "O_DIRECTORY"},
                                 {O_NOFOLLOW, "O_NOFOLLOW"},   {O_NOATIME, "O_NOATIME"},     {O_CLOEXEC, "O_CLOEXEC"},
                                 {O_PATH, "O_PATH"}};
    char text[256];
    const char *mode = name_of(modes, COUNT(modes), flags & O_ACCMODE);
    size_t len = (size_t)snprintf(text, sizeof text, "%s", mode != NULL ? mode : "O_ACCMODE");
    flags &= ~(uint64_t)(O_ACCMODE | 0100000u); /* 0100000: O_LARGEFILE of the kernel, which libraries always set */
    for (size_t i = 0; i < COUNT(bits); i++) {
        if ((flags & bits[i].value) == bits[i].value) {
            len += (size_t)snprintf(text + len, sizeof text - len, "|%s", bits[i].name);
            flags &= ~bits[i].value;
        }
    }
    if (flags != 0) {
        (void)snprintf(text + len, sizeof text - len, "|0x%llx", (unsigned long long)flags);
    }
    decoded_str(out, "syscall.flags", decoded_text(out, "%s", text));
}

static void put_endpoint(decoded *out, bool local, const char *type, loom_str address, int port)
{
    decoded_str(out, "network.type", str_of(type));
    decoded_str(out, local ? "network.local.address" : "network.peer.address", address);
    if (port >= 0) {
        decoded_int(out, local ? "network.local.port" : "network.peer.port", port);
    }
}

static loom_str unix_path(decoded *out, const struct sockaddr_un *address, size_t len)
{
    const size_t head = offsetof(struct sockaddr_un, sun_path);
    if (len <= head) {
        return (loom_str){0};
    }
    const size_t room = len - head;
    if (address->sun_path[0] == '\0') { /* abstract: as ss and /proc/net/unix write it */
        return decoded_text(out, "@%.*s", (int)strnlen(address->sun_path + 1, room - 1), address->sun_path + 1);
    }
    return decoded_text(out, "%.*s", (int)strnlen(address->sun_path, room), address->sun_path);
}

void decode_address(decoded *out, const event_part *part, bool local)
{
    union {
        struct sockaddr_storage room;
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } address = {.room = {0}};
    char text[INET6_ADDRSTRLEN];
    if (part == NULL || part->len < sizeof address.any.sa_family || part->len > sizeof address) {
        return;
    }
    memcpy(&address, part + 1, part->len);
    if (address.any.sa_family == AF_INET && part->len >= sizeof address.in) {
        (void)inet_ntop(AF_INET, &address.in.sin_addr, text, sizeof text);
        put_endpoint(out, local, "ipv4", decoded_text(out, "%s", text), ntohs(address.in.sin_port));
    } else if (address.any.sa_family == AF_INET6 && part->len >= sizeof address.in6 - 4) { /* the scope may be missing (RFC 2133) */
        (void)inet_ntop(AF_INET6, &address.in6.sin6_addr, text, sizeof text);
        put_endpoint(out, local, "ipv6", decoded_text(out, "%s", text), ntohs(address.in6.sin6_port));
    } else if (address.any.sa_family == AF_UNIX) {
        put_endpoint(out, local, "unix", unix_path(out, &address.un, part->len), -1);
    } else {
        decode_family(out, address.any.sa_family);
    }
}

void decode_family(decoded *out, int family)
{
    static const named families[] = {{AF_UNSPEC, "unspec"}, {AF_UNIX, "unix"},       {AF_INET, "ipv4"},   {AF_INET6, "ipv6"},
                                     {AF_NETLINK, "netlink"}, {AF_PACKET, "packet"}, {AF_VSOCK, "vsock"}, {AF_ALG, "alg"}};
    put_named(out, "network.type", families, COUNT(families), (uint64_t)(unsigned)family);
}

void decode_socket_type(decoded *out, int type)
{
    static const named types[] = {{SOCK_STREAM, "SOCK_STREAM"}, {SOCK_DGRAM, "SOCK_DGRAM"}, {SOCK_RAW, "SOCK_RAW"}, {SOCK_SEQPACKET, "SOCK_SEQPACKET"}};
    put_named(out, "syscall.socket_type", types, COUNT(types), (uint64_t)(unsigned)(type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)));
}

void decode_signal(decoded *out, int number)
{
    const char *name = sigabbrev_np(number);
    decoded_str(out, "syscall.signal", name != NULL ? decoded_text(out, "SIG%s", name) : decoded_text(out, "%d", number));
}

void decode_futex(decoded *out, int operation)
{
    static const named operations[] = {
        {FUTEX_WAIT, "FUTEX_WAIT"},         {FUTEX_WAKE, "FUTEX_WAKE"},           {FUTEX_REQUEUE, "FUTEX_REQUEUE"},
        {FUTEX_CMP_REQUEUE, "FUTEX_CMP_REQUEUE"}, {FUTEX_WAKE_OP, "FUTEX_WAKE_OP"}, {FUTEX_LOCK_PI, "FUTEX_LOCK_PI"},
        {FUTEX_UNLOCK_PI, "FUTEX_UNLOCK_PI"}, {FUTEX_WAIT_BITSET, "FUTEX_WAIT_BITSET"}, {FUTEX_WAKE_BITSET, "FUTEX_WAKE_BITSET"}};
    put_named(out, "syscall.operation", operations, COUNT(operations), (uint64_t)(unsigned)(operation & FUTEX_CMD_MASK));
}

void decode_fcntl(decoded *out, int command)
{
    static const named commands[] = {
        {F_DUPFD, "F_DUPFD"},     {F_GETFD, "F_GETFD"},   {F_SETFD, "F_SETFD"},       {F_GETFL, "F_GETFL"},
        {F_SETFL, "F_SETFL"},     {F_GETLK, "F_GETLK"},   {F_SETLK, "F_SETLK"},       {F_SETLKW, "F_SETLKW"},
        {F_OFD_SETLK, "F_OFD_SETLK"}, {F_OFD_SETLKW, "F_OFD_SETLKW"}, {F_OFD_GETLK, "F_OFD_GETLK"}, {F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"},
        {F_SETOWN, "F_SETOWN"},   {F_GETOWN, "F_GETOWN"}, {F_SETPIPE_SZ, "F_SETPIPE_SZ"}, {F_GETPIPE_SZ, "F_GETPIPE_SZ"},
        {F_ADD_SEALS, "F_ADD_SEALS"}};
    put_named(out, "syscall.operation", commands, COUNT(commands), (uint64_t)(unsigned)command);
}
