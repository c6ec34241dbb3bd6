/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sdk/carrier_driver.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/support/wait_until.h"

loom_status driver_begin(carrier_driver *d, const char *ca_file, const char *format, ...)
{
    char text[URL_MAX], why[URL_ERROR_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *d = (carrier_driver){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    assert_true(d->epoll_fd >= 0);
    assert_status(LOOM_OK, url_parse(&d->url, text, URL_LINKS | URL_DIAL, why));
    carrier_options options = {.url = &d->url, .epoll_fd = d->epoll_fd, .tls_ca_file = ca_file};
    return carrier_open(&d->carrier, &options, d->why);
}

bool driver_wait(carrier_driver *d, int ms)
{
    struct epoll_event event;
    d->wakes++;
    return epoll_wait(d->epoll_fd, &event, 1, ms) > 0;
}

static void wait_or_fail(carrier_driver *d)
{
    if (!driver_wait(d, DRIVER_DEADLINE_MS)) {
        fail_msg("nothing happens any more");
    }
}

static loom_status note(carrier_driver *d, loom_status st)
{
    if (st != LOOM_OK && st != LOOM_EBUSY) {
        memcpy(d->why, d->carrier->why, sizeof d->why);
    }
    return st;
}

loom_status driver_connect(carrier_driver *d)
{
    loom_status st;
    while ((st = d->carrier->ops->connect(d->carrier)) == LOOM_EBUSY) {
        wait_or_fail(d);
    }
    return note(d, st);
}

loom_status driver_receive(carrier_driver *d, void *into, size_t room, size_t *got)
{
    loom_status st;
    do { /* only when the epoll set says so, as the agent does */
        wait_or_fail(d);
        st = d->carrier->ops->receive(d->carrier, into, room, got);
    } while (st == LOOM_EBUSY);
    return note(d, st);
}

void driver_receive_all(carrier_driver *d, uint8_t *into, size_t len)
{
    static uint8_t buffer[CARRIER_ROOM_MIN + 1000];
    for (size_t have = 0; have < len;) {
        size_t got;
        loom_status st = driver_receive(d, buffer, sizeof buffer, &got);
        if (st != LOOM_OK) {
            fail_msg("ended after %zu of %zu bytes: %s", have, len, d->why);
        }
        assert_true(got <= len - have);
        memcpy(into + have, buffer, got);
        have += got;
    }
}

void driver_send(carrier_driver *d, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t left = len - done, sent;
        struct iovec iov[3] = {{(uint8_t *)(uintptr_t)data + done, left / 3},
                               {(uint8_t *)(uintptr_t)data + done + left / 3, left / 3},
                               {(uint8_t *)(uintptr_t)data + done + left / 3 * 2, left - left / 3 * 2}};
        loom_status st = d->carrier->ops->send(d->carrier, iov, 3, &sent);
        done += sent;
        if (st != LOOM_OK && st != LOOM_EBUSY) {
            fail_msg("cannot send: %s", loom_status_name(st));
        }
        d->carrier->ops->watch_room(d->carrier, done < len);
        if (done < len) {
            wait_or_fail(d);
        }
    }
}

loom_status driver_end(carrier_driver *d)
{
    static uint8_t buffer[CARRIER_ROOM_MIN];
    loom_status st;
    size_t got;
    while ((st = driver_receive(d, buffer, sizeof buffer, &got)) == LOOM_OK) {
    }
    return st;
}

void driver_close(carrier_driver *d)
{
    if (d->carrier != NULL) {
        d->carrier->ops->close(d->carrier);
    }
    close(d->epoll_fd);
}

void driver_assert_why(const carrier_driver *d, const char *part)
{
    if (strstr(d->why, part) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", d->why, part);
    }
}
