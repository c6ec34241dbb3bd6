/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trace/http_stub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* false: the stub is to stop. */
static bool readable(http_stub *stub, int fd)
{
    while (!atomic_load(&stub->stop)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 20) > 0) {
            return true;
        }
    }
    return false;
}

/* Reads one request with a Content-Length; false: the peer went away or the stub is to stop. */
static bool read_request(http_stub *stub, int fd)
{
    static const char length[] = "Content-Length: ";
    size_t cap = sizeof stub->last_body + sizeof stub->last_head, len = 0;
    char *data = calloc(1, cap + 1);
    bool complete = false;
    while (data != NULL && !complete && len < cap && readable(stub, fd)) {
        ssize_t n = recv(fd, data + len, cap - len, 0);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
        const char *head_end = memmem(data, len, "\r\n\r\n", 4);
        const char *field = head_end != NULL ? strstr(data, length) : NULL;
        size_t body = field != NULL ? strtoul(field + sizeof length - 1, NULL, 10) : 0;
        size_t head = head_end != NULL ? (size_t)(head_end - data) + 4 : 0;
        if (head_end != NULL && len >= head + body && head < sizeof stub->last_head && body <= sizeof stub->last_body) {
            pthread_mutex_lock(&stub->lock);
            memcpy(stub->last_head, data, head);
            stub->last_head[head] = '\0';
            memcpy(stub->last_body, data + head, body);
            stub->last_len = body;
            pthread_mutex_unlock(&stub->lock);
            complete = true;
        }
    }
    free(data);
    return complete;
}

static void serve(http_stub *stub, int fd)
{
    if (!read_request(stub, fd)) {
        return;
    }
    size_t i = atomic_fetch_add(&stub->requests, 1);
    const char *answer = stub->answers[i < stub->answer_count ? i : stub->answer_count - 1];
    if (answer != NULL) {
        (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
        return;
    }
    char byte;
    while (readable(stub, fd) && recv(fd, &byte, 1, 0) > 0) {
    }
}

static void *run(void *user)
{
    http_stub *stub = user;
    while (readable(stub, stub->listener)) {
        int fd = accept(stub->listener, NULL, NULL);
        if (fd >= 0) {
            serve(stub, fd);
            close(fd);
        }
    }
    return NULL;
}

static int bind_loopback(char *url, size_t size)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        abort();
    }
    (void)snprintf(url, size, "http://127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

void http_stub_start(http_stub *stub, const char *const *answers, size_t answer_count)
{
    memset(stub, 0, sizeof *stub);
    stub->answers = answers;
    stub->answer_count = answer_count;
    pthread_mutex_init(&stub->lock, NULL);
    stub->listener = bind_loopback(stub->url, sizeof stub->url);
    if (listen(stub->listener, 8) != 0 || pthread_create(&stub->thread, NULL, run, stub) != 0) {
        abort();
    }
}

void http_stub_stop(http_stub *stub)
{
    atomic_store(&stub->stop, true);
    pthread_join(stub->thread, NULL);
    close(stub->listener);
    pthread_mutex_destroy(&stub->lock);
}

void http_stub_dead_url(char *out, size_t size)
{
    close(bind_loopback(out, size)); /* bound for a moment, so nobody else has it */
}
