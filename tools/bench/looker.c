/* SPDX-License-Identifier: Apache-2.0 */
/* The page is a headless Chromium with the Flow view open; or, where only the servers are to be looked at, a client that reads
 * the stream that this view reads, and throws it away. */
#include "tools/bench/looker.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/bench/stream.h"

#define FOLLOWED "flow,agents,stats" /* by tools/loom/view/page/flow.js */

enum { ANSWER_SIZE = 4096, READ_SIZE = 64 * 1024, STEP_MS = 100, TOKEN_SIZE = 64 };

void looker_control(const bench_site *site, char out[SITE_URL_SIZE])
{
    snprintf(out, SITE_URL_SIZE, "ipc://%s/control.sock", site->dir);
}

/* ---- what the view is asked ---- */

typedef struct view_url {
    char text[SITE_URL_SIZE];
    char token[TOKEN_SIZE];
    unsigned port;
} view_url;

static bool read_url(const bench_site *site, view_url *out)
{
    char path[SITE_URL_SIZE];
    *out = (view_url){0};
    site_path(site, path, "view.url");
    FILE *file = fopen(path, "re");
    const bool read = file != NULL && fgets(out->text, sizeof out->text, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    out->text[read ? strcspn(out->text, "\n") : 0] = '\0';
    if (sscanf(out->text, "http://127.0.0.1:%u/?token=%63[0-9a-f]", &out->port, out->token) != 2) {
        bench_complain("loom view does not say where it is: %s", out->text);
        return false;
    }
    return true;
}

/* -1: failed. */
static int ask(const view_url *where, const char *path)
{
    char head[512];
    const int fd = stream_connect_port(where->port);
    const int len = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\n\r\n", path, where->port, where->token);
    if (fd >= 0 && !stream_put(fd, (const uint8_t *)head, (size_t)len)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* How many pages read its stream. */
static unsigned count_streams(const view_url *where)
{
    char answer[ANSWER_SIZE + 1];
    size_t len = 0;
    unsigned count = 0;
    const char *found = NULL;
    const int fd = ask(where, "/api/state");
    for (ssize_t got = 1; fd >= 0 && got > 0 && found == NULL && len < ANSWER_SIZE;) {
        got = read(fd, answer + len, ANSWER_SIZE - len);
        len += got > 0 ? (size_t)got : 0;
        answer[len] = '\0';
        found = strchr(answer, '}') != NULL ? strstr(answer, "\"streams\":") : NULL;
    }
    if (fd >= 0) {
        close(fd);
    }
    return found != NULL && sscanf(found, "\"streams\":%u", &count) == 1 ? count : 0;
}

static bool is_looked_at(const bench_site *site)
{
    view_url where;
    return read_url(site, &where) && count_streams(&where) > 0;
}

/* ---- who looks ---- */

static int read_stream(const bench_site *site, const view_url *where)
{
    static uint8_t data[READ_SIZE]; /* the process has one thread */
    const int fd = ask(where, "/api/stream?events=" FOLLOWED);
    bool ok = fd >= 0;
    while (ok && atomic_load(&site->shared->phase) != PHASE_END) {
        struct pollfd p = {fd, POLLIN, 0};
        ok = poll(&p, 1, STEP_MS) == 0 || read(fd, data, sizeof data) > 0;
    }
    if (!ok) {
        bench_complain("the stream of loom view has ended");
    }
    return ok ? 0 : 1;
}

static bool open_stream(bench_site *site, const view_url *where)
{
    const pid_t pid = processes_fork(&site->processes, "page");
    if (pid == 0) {
        _exit(read_stream(site, where));
    }
    return pid > 0;
}

static bool open_page(bench_site *site, const view_url *where)
{
    char program[SITE_URL_SIZE], profile[SITE_URL_SIZE + 32], page[SITE_URL_SIZE + 16], log[SITE_URL_SIZE];
    snprintf(profile, sizeof profile, "--user-data-dir=%s/chromium", site->dir);
    snprintf(page, sizeof page, "%s#/flow", where->text);
    site_path(site, log, "chromium.log");
    char *argv[] = {program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0", profile, page, NULL};
    if (!site_find_program(program, "chromium")) {
        bench_complain("there is no chromium in PATH: `--flood view` measures with a reader in its place");
        return false;
    }
    return processes_run(&site->processes, "page", argv, log);
}

bool looker_open(bench_site *site)
{
    char program[SITE_URL_SIZE], control[SITE_URL_SIZE], file[SITE_URL_SIZE], db[SITE_URL_SIZE], log[SITE_URL_SIZE];
    view_url where;
    const bench_flood kind = site->setup->shape.flood;
    if (kind != FLOOD_VIEW && kind != FLOOD_VIEW_PAGE) {
        return true;
    }
    looker_control(site, control);
    site_path(site, file, "view.url");
    site_path(site, db, "view.db");
    site_path(site, log, "view.log");
    char *argv[] = {program, "view", "--no-open", "--listen", "127.0.0.1:0", "--otlp-listen", "127.0.0.1:0", "--control", control, "--url", site->url,
                    "--db", db, "--url-file", file, NULL};
    return site_sibling(program, "loom") && processes_run(&site->processes, "view", argv, log) && site_wait_file(site, file) &&
           read_url(site, &where) && (kind == FLOOD_VIEW ? open_stream(site, &where) : open_page(site, &where)) &&
           site_wait(site, is_looked_at, "the page to be open");
}
