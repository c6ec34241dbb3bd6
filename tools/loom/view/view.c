/* SPDX-License-Identifier: Apache-2.0 */
/* The verb, and the life of its process: one loop with the page, the receiver of spans, and the signals that end it. */
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/str.h"
#include "host/end_signals.h"
#include "host/net/listen.h"
#include "host/whole_file.h"
#include "tools/loom/control.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"
#include "tools/loom/view/internal.h"
#include "tools/loom/view/member.h"

#define LISTEN      "127.0.0.1:7781"
#define LISTEN_ANY  "127.0.0.1:0"
#define OTLP_HTTP   "127.0.0.1:4318"
#define OTLP_GRPC   "127.0.0.1:4317"

enum { SIGNALS = 3, SEND_MS = 10000, CLOSE_MS = 250, URL_TEXT_SIZE = URL_HOST_SIZE + 128 };

static const option_spec specs[] = {
    {.name = "listen", .kind = OPTION_VALUE, .value = "HOST:PORT", .fallback = LISTEN,
     .help = "Address of the page, on this machine only; port 0 picks a free port, as the default does when its port is taken"},
    {.name = "no-open", .kind = OPTION_FLAG, .help = "Do not open a browser"},
    {.name = "jaeger", .kind = OPTION_VALUE, .value = "URL",
     .help = "A Jaeger that has the same traces, such as http://127.0.0.1:16686: each trace gets a link to it"},
    OPTIONS_CONTROL,
    {.name = "url", .letter = 'u', .kind = OPTION_VALUE, .value = "URL", .group = "Connection",
     .help = "Broker or bridge to publish, subscribe and call at; default: LOOM_URL, or this machine's broker"},
    {.name = "otlp-listen", .kind = OPTION_VALUE, .value = "HOST:PORT", .fallback = OTLP_HTTP, .group = "Traces",
     .help = "Address that receives traces, as `loom trace collect` does; none: read a database that another one fills"},
    {.name = "grpc-listen", .kind = OPTION_VALUE, .value = "HOST:PORT", .fallback = OTLP_GRPC, .group = "Traces",
     .help = "A second address, where clients expect gRPC. Default only without --otlp-listen"},
    {.name = "db", .kind = OPTION_VALUE, .value = "FILE", .fallback = "~/.local/state/loom/traces.db", .group = "Traces",
     .help = "Database, created if missing; LOOM_TRACE_DB names another default"},
    OPTIONS_RETENTION("Traces"),
    {.name = "url-file", .kind = OPTION_VALUE, .value = "FILE", .group = "For scripts",
     .help = "Write the URL, with its token, to this file once listening (mode 0600)"},
    OPTION_HELP,
};

static const command self = {
    .manual = {.program = "loom view",
               .synopsis = "[OPTION]…",
               .summary = "Shows the bus and its traces in a web page. It receives traces over OTLP where exporters send them by "
                          "default, asks the broker's control socket, or the broker behind --url, for agents and message flow, and never stands in the way of "
                          "a message. Prints the page's URL, whose token lets one in. Runs until SIGINT, SIGTERM or SIGHUP.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom view\n"
                          "  loom view --no-open --url-file url & until [ -s url ]; do sleep 0.1; done; cat url\n"
                          "  loom view --otlp-listen none        beside a `loom trace collect` with the same database\n"},
};

/* ---- the page's server ---- */

static const http_route routes[] = {
    {.method = "GET", .path = "/", .handle = view_page},
    {.method = "GET", .path = "/assets/", .below = true, .handle = view_asset},
    {.method = "GET", .path = "/api/state", .handle = view_state},
    {.method = "GET", .path = "/api/traces", .handle = view_traces},
    {.method = "GET", .path = "/api/traces/", .below = true, .handle = view_trace},
    {.method = "GET", .path = "/api/logs/", .below = true, .handle = view_logs},
    {.method = "GET", .path = "/api/about/", .below = true, .handle = view_about},
    {.method = "GET", .path = "/api/latency", .handle = view_latency},
    {.method = "GET", .path = "/api/errors", .handle = view_errors},
    {.method = "GET", .path = "/api/keep", .handle = view_keep_list},
    {.method = "POST", .path = "/api/keep", .handle = view_keep_add},
    {.method = "DELETE", .path = "/api/keep/", .below = true, .handle = view_keep_end},
    {.method = "GET", .path = "/api/bus/", .below = true, .handle = view_bus_get},
    {.method = "GET", .path = "/api/stream", .handle = view_stream},
    {.method = "GET", .path = "/api/member", .handle = view_member_state},
    {.method = "GET", .path = "/api/tail", .handle = view_tail},
    {.method = "POST", .path = "/api/publish/", .below = true, .handle = view_publish},
    {.method = "POST", .path = "/api/invoke/", .below = true, .handle = view_invoke},
};

/* LOOM_EINVAL: no HOST:PORT. */
static loom_status listen_at(view *v, const char *where, char why[HTTP_ERROR_SIZE])
{
    const http_listen_options page = {.routes = routes, .route_count = sizeof routes / sizeof routes[0], .max_connections = 256,
                                      .body_max = LOOM_PAYLOAD_MAX, .admit = view_admit, .fail = view_fail, .user = v};
    return listening_parse(&v->address, where) ? http_server_listen(v->http, &v->address, &page, why) : LOOM_EINVAL;
}

/* Whether the page may listen there: it is for this machine alone. */
static bool check_listen(const char *where, int *exit_code)
{
    url u;
    if (where == NULL || (listening_parse(&u, where) && url_is_loopback(&u))) {
        return true;
    }
    *exit_code = listening_parse(&u, where)
                     ? command_misuse(&self, "--listen: %.100s can be reached from other machines, and the page is for this one: use "
                                      "127.0.0.1, and a tunnel (ssh -L) from elsewhere", where)
                     : command_misuse(&self, "--listen: \"%.100s\" is not HOST:PORT, such as " LISTEN, where);
    return false;
}

static int open_page(view *v, const options *o)
{
    const char *where = options_value(o, "listen");
    char why[HTTP_ERROR_SIZE];
    loom_status st = listen_at(v, where != NULL ? where : LISTEN, why);
    if (st != LOOM_OK && where == NULL) {
        st = listen_at(v, LISTEN_ANY, why);
    }
    if (st != LOOM_OK) {
        return command_fail(&self, "cannot listen on %s: %s%s", where != NULL ? where : LISTEN, why,
                            st == LOOM_EBUSY ? "; stop what listens there, or name another port with --listen (0: any that is free)" : "");
    }
    snprintf(v->cookie, sizeof v->cookie, "loom-view-%u", (unsigned)v->address.port);
    return VERB_OK;
}

void view_tell(const char *text)
{
    command_fail(&self, "%s", text);
}

/* ---- traces ---- */

static void on_receiver_error(void *user, const char *message)
{
    (void)user;
    command_fail(&self, "%s", message);
}

/* Addresses that nobody named may be taken: without a receiver the page shows what the database has, and says why. */
static int open_receiver(view *v, const options *o, store *db)
{
    const char *otlp = options_value(o, "otlp-listen"), *grpc = options_value(o, "grpc-listen");
    const receiver_options settings = {.listen = otlp != NULL ? otlp : OTLP_HTTP,
                                       .grpc_listen = grpc != NULL ? grpc : otlp == NULL ? OTLP_GRPC : NULL,
                                       .grpc_optional = grpc == NULL, .db = db, .on_error = on_receiver_error};
    if (receiver_open(&v->receiver, &v->loop, &settings, v->receiver_problem) == LOOM_OK) {
        return VERB_OK;
    }
    const int exit_code = command_fail(&self, "receives no traces: %s", v->receiver_problem);
    return otlp == NULL && grpc == NULL ? VERB_OK : exit_code;
}

static bool check_address(const char *name, const char *where, int *exit_code)
{
    url u;
    if (where == NULL || listening_parse(&u, where)) {
        return true;
    }
    *exit_code = command_misuse(&self, "--%s: \"%.100s\" is not HOST:PORT, such as " OTLP_HTTP, name, where);
    return false;
}

/* Before anything is opened: what cannot be an address is a mistake on the command line. */
static bool check_addresses(const options *o, bool receives, int *exit_code)
{
    const char *grpc = options_value(o, "grpc-listen");
    if (!receives && grpc != NULL) {
        *exit_code = command_misuse(&self, "--grpc-listen has no effect with --otlp-listen none: leave one of them out");
        return false;
    }
    return check_listen(options_value(o, "listen"), exit_code) &&
           (!receives || check_address("otlp-listen", options_value(o, "otlp-listen"), exit_code)) && check_address("grpc-listen", grpc, exit_code);
}

/* ---- saying where it is ---- */

static bool write_url_file(const char *path, const char *address)
{
    char text[URL_TEXT_SIZE + 1];
    snprintf(text, sizeof text, "%s\n", address);
    return whole_file_write(path, 0600, text);
}

/* A browser starts on its own, and nobody waits for it: the child of a child is not ours. */
static void open_browser(const char *address)
{
    extern char **environ;
    char shell[] = "/bin/sh", flag[] = "-c", line[] = "xdg-open \"$0\" >/dev/null 2>&1 &", *copy = strdup(address);
    char *const argv[] = {shell, flag, line, copy, NULL};
    pid_t pid;
    if (copy != NULL && posix_spawn(&pid, shell, NULL, NULL, argv, environ) == 0) {
        (void)waitpid(pid, NULL, 0);
    }
    free(copy);
}

static int announce(const view *v, const options *o)
{
    char address[URL_TEXT_SIZE];
    const char *file = options_value(o, "url-file");
    snprintf(address, sizeof address, v->address.host_is_ipv6 ? "http://[%s]:%u/?token=%s" : "http://%s:%u/?token=%s", v->address.host,
             (unsigned)v->address.port, v->token);
    printf("the view is at %s\n", address);
    if (v->receiver != NULL) {
        printf("receiving traces on http://%s/v1/traces and by gRPC on %s, database %s\n", receiver_address(v->receiver),
               receiver_grpc_address(v->receiver), v->db_path);
    }
    fflush(stdout);
    if (file != NULL && !write_url_file(file, address)) {
        return command_fail(&self, "cannot write %s: %s", file, strerror(errno));
    }
    const bool display = getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL;
    if (!options_is_on(o, "no-open") && display && isatty(STDOUT_FILENO)) {
        open_browser(address);
    }
    return VERB_OK;
}

/* ---- its life ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

static void on_closed(void *user)
{
    (void)user;
}

static int run_loop(view *v, const options *o, store *db)
{
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
    uv_signal_t signals[SIGNALS];
    view_bus_open(v);
    view_stream_open(v);
    end_signals_watch(&v->loop, signals, numbers, SIGNALS, on_signal, NULL);
    int exit_code = open_page(v, o);
    if (exit_code == VERB_OK && db != NULL) {
        exit_code = open_receiver(v, o, db);
    }
    if (exit_code == VERB_OK && view_member_open(&v->member, v, options_value(o, "url"), db) != LOOM_OK) {
        exit_code = command_fail(&self, "cannot start its agent: out of memory or file descriptors");
    }
    exit_code = exit_code == VERB_OK ? announce(v, o) : exit_code;
    if (exit_code == VERB_OK) {
        uv_run(&v->loop, UV_RUN_DEFAULT);
    }
    view_member_close(v->member);
    receiver_close(v->receiver);
    view_jobs_stop(v);
    view_bus_close(v);
    view_keep_close(v);
    view_stream_close(v);
    http_server_close(v->http, on_closed, NULL);
    for (size_t i = 0; i < SIGNALS; i++) {
        uv_close((uv_handle_t *)&signals[i], NULL);
    }
    uv_run(&v->loop, UV_RUN_DEFAULT); /* jobs as well */
    view_stream_fini(v);
    view_member_fini(v->member);
    return exit_code;
}

static int serve(view *v, const options *o, store *db)
{
    /* What is left by pages is for the broker's answers and the store. */
    const http_server_options server = {.send_ms = SEND_MS, .close_ms = CLOSE_MS,
                                        .descriptor_limit = descriptors_limit(DESCRIPTORS_CONTROL)};
    uint8_t secret[(VIEW_TOKEN_SIZE - 1) / 2];
    if (!descriptors_free(DESCRIPTORS_FOR_A_LOOP)) {
        return command_fail(&self, "too few file descriptors are free; raise their limit (ulimit -n)");
    }
    if (sodium_init() < 0 || uv_loop_init(&v->loop) != 0) {
        return command_fail(&self, "cannot start the event loop");
    }
    randombytes_buf(secret, sizeof secret);
    sodium_bin2hex(v->token, sizeof v->token, secret, sizeof secret);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is no reason to end: spans are refused, then */
    int exit_code = http_server_open(&v->http, &v->loop, &server) == LOOM_OK
                        ? run_loop(v, o, db) : command_fail(&self, "out of memory");
    uv_loop_close(&v->loop);
    return exit_code;
}

/* Stores of its own for each who reads, so that none waits for another, nor the one who writes for any. */
static loom_status open_readers(view *v, char why[STORE_PROBLEM_SIZE])
{
    loom_status st = store_open_reader(&v->watched, v->db_path, why);
    for (size_t i = 0; i < VIEW_READERS && st == LOOM_OK; i++) {
        st = store_open_reader(&v->readers[i], v->db_path, why);
    }
    return st;
}

static void close_readers(view *v)
{
    store_close(v->watched);
    for (size_t i = 0; i < VIEW_READERS; i++) {
        store_close(v->readers[i]);
    }
}

/* writes: whether spans are received. */
static int open_stores(view *v, const options *o, bool writes)
{
    char why[STORE_PROBLEM_SIZE];
    store_retention keep;
    store *db = NULL;
    int exit_code = VERB_OK;
    if (!trace_options_retention(&self, o, &keep, &exit_code)) {
        return exit_code;
    }
    loom_status st = writes ? store_open_writer(&db, v->db_path, &keep, why) : LOOM_OK;
    const bool could_look = st == LOOM_EDENIED;
    st = st == LOOM_OK ? open_readers(v, why) : st;
    if (st != LOOM_OK) {
        exit_code = command_fail(&self, "%s%s", why, could_look ? "; with --otlp-listen none the view only reads it"
                                                     : st == LOOM_ENOTFOUND ? ", and so does the view without --otlp-listen none" : "");
    } else {
        exit_code = serve(v, o, db);
    }
    close_readers(v);
    store_close(db);
    return exit_code;
}

static int run(const options *o)
{
    char control[CONTROL_ADDRESS_SIZE], why[CONTROL_WHY_SIZE], *fallback;
    int exit_code = VERB_OK;
    view v = {.control = control_address(o, control, sizeof control, why, sizeof why), .jaeger = options_value(o, "jaeger")};
    const char *otlp = options_value(o, "otlp-listen");
    const char *to = options_value(o, "url");
    to = to != NULL ? to : getenv("LOOM_URL");
    if (v.control == NULL && to == NULL) {
        return control_fail(&self, VERB_USAGE, why);
    }
    url_show(v.link, to != NULL ? to : "");
    if (v.jaeger != NULL && strncmp(v.jaeger, "http://", 7) != 0 && strncmp(v.jaeger, "https://", 8) != 0) {
        return command_misuse(&self, "--jaeger has to begin with http:// or https://, not \"%s\"", v.jaeger);
    }
    const bool receives = otlp == NULL || strcmp(otlp, "none") != 0;
    if (!check_addresses(o, receives, &exit_code)) {
        return exit_code;
    }
    v.db_path = trace_options_db(&self, o, &fallback, &exit_code);
    if (v.db_path == NULL) {
        return exit_code;
    }
    exit_code = open_stores(&v, o, receives);
    free(fallback);
    return command_finish(&self, exit_code);
}

int verb_view(int argc, char *const argv[])
{
    return command_run(&self, argc, argv, run);
}
