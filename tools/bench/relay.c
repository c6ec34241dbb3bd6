/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bench/relay.h"

#include <stdlib.h>
#include <unistd.h>

bool relay_ready(const bench_site *site, const char *url, const char *url_out)
{
    char part[SITE_URL_SIZE], whole[SITE_URL_SIZE];
    site_path(site, part, "relay.part");
    site_path(site, whole, "relay.ready");
    FILE *file = fopen(part, "we");
    if (file == NULL) {
        return false;
    }
    const bool written = fprintf(file, "%s %s\n", url, url_out) > 0;
    return fclose(file) == 0 && written && rename(part, whole) == 0;
}

static bool read_ready(bench_site *site, const char *path)
{
    char line[2 * SITE_URL_SIZE];
    FILE *file = fopen(path, "re");
    const bool ok =
        file != NULL && fgets(line, sizeof line, file) != NULL && sscanf(line, "%255s %255s", site->url, site->url_out) == 2;
    if (file != NULL) {
        fclose(file);
    }
    if (!ok) {
        bench_complain("the relay does not say where it listens");
    }
    return ok;
}

bool relay_start(bench_site *site, const char *name, const char *any_port, int (*run)(const bench_site *site))
{
    char ready[SITE_URL_SIZE];
    if (site->setup->transport == TRANSPORT_IPC) {
        snprintf(site->url, sizeof site->url, "ipc://%s/in.sock", site->dir);
        snprintf(site->url_out, sizeof site->url_out, "ipc://%s/out.sock", site->dir);
    } else {
        snprintf(site->url, sizeof site->url, "%s", any_port);
        snprintf(site->url_out, sizeof site->url_out, "%s", any_port);
    }
    const pid_t pid = processes_fork(&site->processes, name);
    if (pid == 0) {
        _exit(run(site));
    }
    site_path(site, ready, "relay.ready");
    return pid > 0 && site_wait_file(site, ready) && read_ready(site, ready);
}
