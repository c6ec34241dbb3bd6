/* SPDX-License-Identifier: Apache-2.0 */
/* The table of peers. A new one is its file, its line in CMakeLists.txt, and its line here. */
#include "tools/bench/peers/peers.h"

#include <string.h>

const bench_peer *const *bench_peers(void)
{
    static const bench_peer *const peers[] = {&bench_peer_nats,
                                              &bench_peer_nats_traceparent,
                                              &bench_peer_zmq,
                                              &bench_peer_mosquitto,
                                              &bench_peer_nng,
                                              &bench_peer_floor,
                                              &bench_peer_nginx,
                                              &bench_peer_otel_go,
                                              &bench_peer_otel_rust,
                                              NULL};
    return peers;
}

const bench_peer *bench_peer_find(const char *name)
{
    for (const bench_peer *const *p = bench_peers(); *p != NULL; p++) {
        if (strcmp((*p)->name, name) == 0) {
            return *p;
        }
    }
    return NULL;
}

bool peer_has_program(const char *program, const char *package, char *why, size_t why_size)
{
    char path[SITE_URL_SIZE];
    if (site_find_program(path, program)) {
        return true;
    }
    snprintf(why, why_size, "there is no %s in PATH. Install the Debian package %s (tools/bench/peers/install.sh does)", program,
             package);
    return false;
}
