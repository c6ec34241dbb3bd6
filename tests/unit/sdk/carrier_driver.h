/* SPDX-License-Identifier: Apache-2.0 */
/* Drives one carrier as an agent's thread would, by its epoll set. Each wait has a deadline, after which the test fails. */
#ifndef LOOM_TESTS_CARRIER_DRIVER_H
#define LOOM_TESTS_CARRIER_DRIVER_H

#include "sdk-c/link/carrier.h"
#include "tests/support/check.h"

#define DRIVER_DEADLINE_MS 10000

typedef struct carrier_driver {
    url url;
    int epoll_fd;
    carrier *carrier;
    char why[LINK_WHY_SIZE]; /* of the failure */
    unsigned wakes;          /* of the epoll set */
} carrier_driver;

/* What came of opening; on LOOM_OK it has begun to connect. format gives the URL. */
loom_status driver_begin(carrier_driver *d, const char *ca_file, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Opens and connects, or says what came of it. */
loom_status driver_connect(carrier_driver *d);
/* Waits for the epoll set. False: nothing within ms. */
bool driver_wait(carrier_driver *d, int ms);
/* The next bytes, or how it ended. */
loom_status driver_receive(carrier_driver *d, void *into, size_t room, size_t *got);
/* Bytes until there are len of them. */
void driver_receive_all(carrier_driver *d, uint8_t *into, size_t len);
/* Sends all, waiting for room. */
void driver_send(carrier_driver *d, const void *data, size_t len);
/* Goes on until the end; returns how it ended. */
loom_status driver_end(carrier_driver *d);
void driver_close(carrier_driver *d);
/* Fails the test unless the reason has this part. */
void driver_assert_why(const carrier_driver *d, const char *part);

#endif
