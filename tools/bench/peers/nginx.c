/* SPDX-License-Identifier: Apache-2.0 */
/* nginx, answering every request with 204: what an HTTP server costs that does nothing with a request. One process, as the
 * gateway has one loop. */
#include <string.h>

#include "tools/bench/peers/peers.h"
#include "tools/bench/stream.h"

static bool available(const bench_setup *setup, char *why, size_t why_size)
{
    (void)setup;
    return peer_has_program("nginx", "nginx-light", why, why_size);
}

static bool write_config(const bench_site *site, const char *path, unsigned port)
{
    FILE *config = fopen(path, "we");
    if (config == NULL) {
        bench_complain("cannot write %s", path);
        return false;
    }
    fprintf(config, "daemon off;\nmaster_process off;\npid nginx.pid;\nevents { worker_connections 1024; }\n"
                    "http {\n  access_log off;\n  keepalive_requests 1000000000;\n");
    static const char *const kinds[] = {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}; /* of temporary files; none is made */
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        fprintf(config, "  %s_temp_path %s;\n", kinds[i], site->dir);
    }
    fprintf(config, "  server { listen 127.0.0.1:%u; location / { return 204; } }\n}\n", port);
    return fclose(config) == 0;
}

static bool start(bench_site *site)
{
    char server[SITE_URL_SIZE], config[SITE_URL_SIZE], log[SITE_URL_SIZE];
    const unsigned port = stream_free_port();
    site_path(site, config, "nginx.conf");
    site_path(site, log, "nginx.log");
    if (port == 0 || !site_find_program(server, "nginx") || !write_config(site, config, port)) {
        return false;
    }
    char *argv[] = {server, "-p", site->dir, "-c", config, "-e", log, NULL};
    snprintf(site->url_out, sizeof site->url_out, "http://127.0.0.1:%u", port);
    return processes_run(&site->processes, "nginx", argv, log) && stream_wait_port(site, port);
}

const bench_peer bench_peer_nginx = {
    .name = "nginx",
    .summary = "nginx answering 204, one process",
    .guarantee = "each request is answered; what it carries is thrown away",
    .available = available,
    .is_http = true,
    .start = start,
};
