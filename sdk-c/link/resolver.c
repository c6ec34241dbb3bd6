/* SPDX-License-Identifier: Apache-2.0 */
/* getaddrinfo() knows no deadline, and a dead name server holds it for half a minute. So a thread of its own waits for
 * it, and the agent may lose interest: the request belongs to both, and the last one frees it. */
#include "sdk-c/link/resolver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/thread.h"

struct resolver {
    atomic_uint refs; /* the agent's and the thread's */
    atomic_bool done;
    int event_fd;
    int result; /* of getaddrinfo; written before done */
    struct addrinfo *found;
    char *host, *port;
};

static void resolver_unref(resolver *r)
{
    if (atomic_fetch_sub(&r->refs, 1) != 1) {
        return;
    }
    if (r->found != NULL) {
        freeaddrinfo(r->found);
    }
    close(r->event_fd);
    free(r->host);
    free(r->port);
    free(r);
}

static int look_up(const resolver *r, int flags, struct addrinfo **found)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    return getaddrinfo(r->host, r->port, &hints, found);
}

static void *resolver_thread(void *arg)
{
    resolver *r = arg;
    r->result = look_up(r, AI_ADDRCONFIG, &r->found);
    if (r->result != 0) {
        r->found = NULL;
    }
    atomic_store(&r->done, true);
    uint64_t one = 1;
    ssize_t written = write(r->event_fd, &one, sizeof one);
    (void)written; /* an eventfd that counts one cannot be full */
    resolver_unref(r);
    return NULL;
}

static loom_status start_thread(resolver *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0) {
        return LOOM_ENOMEM;
    }
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add(&r->refs, 1);
    int failed = thread_start(&thread, &attr, resolver_thread, r);
    pthread_attr_destroy(&attr);
    if (failed != 0) {
        atomic_fetch_sub(&r->refs, 1);
        return LOOM_EIO;
    }
    return LOOM_OK;
}

loom_status resolver_start(resolver **out, struct addrinfo **found, const char *host, const char *port)
{
    *out = NULL;
    *found = NULL;
    resolver *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return LOOM_ENOMEM;
    }
    atomic_init(&r->refs, 1);
    r->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->host = strdup(host);
    r->port = strdup(port);
    loom_status st = LOOM_OK;
    if (r->event_fd < 0) {
        st = LOOM_EIO;
    } else if (r->host == NULL || r->port == NULL) {
        st = LOOM_ENOMEM;
    } else if (look_up(r, AI_NUMERICHOST, found) != 0) {
        *found = NULL;
        st = start_thread(r);
        if (st == LOOM_OK) {
            *out = r;
            return LOOM_OK;
        }
    }
    resolver_unref(r);
    return st;
}

int resolver_fd(const resolver *r)
{
    return r->event_fd;
}

loom_status resolver_take(resolver *r, struct addrinfo **found, const char **why)
{
    *found = NULL;
    if (!atomic_load(&r->done)) {
        return LOOM_EBUSY;
    }
    if (r->result != 0) {
        *why = gai_strerror(r->result);
        return LOOM_ENOTFOUND;
    }
    *found = r->found;
    r->found = NULL;
    return LOOM_OK;
}

void resolver_close(resolver *r)
{
    if (r != NULL) {
        resolver_unref(r);
    }
}
