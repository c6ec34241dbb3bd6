/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/peers/nats_server.h"

#include <string.h>
#include <unistd.h>

#include "tools/bench/stream.h"

enum { PORTS_SIZE = 1024, TALK_SIZE = 16 * 1024 };

bool nats_server_available(const bench_setup *setup, char *why, size_t why_size)
{
    (void)setup;
    return peer_has_program("nats-server", "nats-server", why, why_size);
}

static bool write_config(const char *path)
{
    FILE *config = fopen(path, "we");
    if (config == NULL) {
        bench_complain("cannot write %s", path);
        return false;
    }
    fputs("listen: \"127.0.0.1:-1\"\nmax_pending: 512MB\nwrite_deadline: \"60s\"\n", config);
    return fclose(config) == 0;
}

/* nats-server writes {"nats":["nats://127.0.0.1:PORT"]}, among others. */
static bool read_url(char out[SITE_URL_SIZE], const char *path)
{
    char text[PORTS_SIZE];
    FILE *ports = fopen(path, "re");
    if (ports == NULL) {
        return false;
    }
    text[fread(text, 1, sizeof text - 1, ports)] = '\0';
    fclose(ports);
    char *url = strstr(text, "nats://");
    const size_t len = url != NULL ? strcspn(url, "\"") : 0;
    if (len == 0 || len >= SITE_URL_SIZE || url[len] != '"') {
        return false;
    }
    memcpy(out, url, len);
    out[len] = '\0';
    return true;
}

bool nats_server_start(bench_site *site)
{
    char server[SITE_URL_SIZE], config[SITE_URL_SIZE], log[SITE_URL_SIZE], name[64], ports[SITE_URL_SIZE];
    site_path(site, config, "nats.conf");
    site_path(site, log, "nats.log");
    if (!site_find_program(server, "nats-server") || !write_config(config)) {
        return false;
    }
    char *argv[] = {server, "-c", config, "--ports_file_dir", site->dir, NULL};
    if (!processes_run(&site->processes, "nats-server", argv, log)) {
        return false;
    }
    snprintf(name, sizeof name, "nats-server_%d.ports", (int)site->processes.items[site->processes.count - 1].pid);
    site_path(site, ports, name);
    if (!site_wait_file(site, ports)) {
        return false;
    }
    for (int tries = 0; !read_url(site->url, ports); tries++) { /* it may be half written */
        if (tries == 100 || !site_sleep(site, 0.005)) {
            bench_complain("nats-server does not say where it listens");
            return false;
        }
    }
    return true;
}

/* What the server says up to the word. */
static bool hear(int fd, const char *word)
{
    char text[TALK_SIZE];
    for (size_t len = 0; len < sizeof text - 1;) {
        const ssize_t n = read(fd, text + len, sizeof text - 1 - len);
        if (n <= 0) {
            return false;
        }
        len += (size_t)n;
        text[len] = '\0';
        if (strstr(text, word) != NULL) {
            return true;
        }
    }
    return false;
}

bool nats_session_open(const bench_site *site, unsigned index)
{
    unsigned port;
    char hello[128];
    if (sscanf(site->url, "nats://127.0.0.1:%u", &port) != 1) {
        bench_complain("%s is not where nats-server listens", site->url);
        return false;
    }
    const int fd = stream_connect_port(port); /* stays open */
    const int len = snprintf(hello, sizeof hello, "CONNECT {\"verbose\":false}\r\nSUB bench.idle.%u 1\r\nPING\r\n", index);
    if (fd >= 0 && hear(fd, "INFO") && stream_put(fd, (const uint8_t *)hello, (size_t)len) && hear(fd, "PONG")) {
        return true;
    }
    bench_complain("session %u with nats-server does not come about", index);
    return false;
}
