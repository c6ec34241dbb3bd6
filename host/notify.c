/* SPDX-License-Identifier: Apache-2.0 */
#include "host/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *socket_name(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    return name != NULL && (name[0] == '/' || name[0] == '@') && name[1] != '\0' ? name : NULL;
}

bool notify_is_wanted(void)
{
    return socket_name() != NULL;
}

bool notify_send(const char *format, ...)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char text[512];
    const char *name = socket_name();
    if (name == NULL || strlen(name) >= sizeof addr.sun_path) {
        return false;
    }
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (len < 0 || fd < 0) {
        return false;
    }
    memcpy(addr.sun_path, name, strlen(name));
    if (name[0] == '@') {
        addr.sun_path[0] = '\0'; /* an abstract name, which no NUL ends */
    }
    const size_t used = (size_t)len < sizeof text ? (size_t)len : sizeof text - 1;
    const bool sent = sendto(fd, text, used, MSG_NOSIGNAL, (const struct sockaddr *)&addr,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) == (ssize_t)used;
    close(fd);
    return sent;
}

uint64_t notify_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())) {
        return 0;
    }
    return strtoull(usec, NULL, 10) / 1000;
}
