/* SPDX-License-Identifier: Apache-2.0 */
/* Everything runs on a loop in the main thread: the receiver, its store, and the signals that end it. */
#include "base/descriptors.h"
#include "host/end_signals.h"
#include "host/whole_file.h"
#include "tools/loom/receiver.h"
#include "tools/loom/trace_options.h"
#include "tools/loom/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const option_spec specs[] = {
    {.name = "listen", .kind = OPTION_VALUE, .value = "HOST:PORT", .fallback = "127.0.0.1:4318",
     .help = "Address to listen on; port 0 picks a free port"},
    {.name = "grpc-listen", .kind = OPTION_VALUE, .value = "HOST:PORT", .fallback = "127.0.0.1:4317",
     .help = "A second address, where clients expect gRPC; without effect on what is taken where. Default only without --listen"},
    {.name = "db", .kind = OPTION_VALUE, .value = "FILE", .fallback = "~/.local/state/loom/traces.db",
     .help = "Database, created if missing; LOOM_TRACE_DB names another default"},
    OPTIONS_RETENTION(NULL),
    {.name = "port-file", .kind = OPTION_VALUE, .value = "FILE", .group = "For scripts",
     .help = "Write the port to this file once listening"},
    {.name = "ready-fd", .kind = OPTION_VALUE, .value = "N", .group = "For scripts",
     .help = "Write HOST:PORT and a newline to this descriptor once listening, then close it"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "General", .help = "Print errors only"},
    OPTION_HELP,
};

static const command collect = {
    .manual = {.program = "loom trace collect",
               .synopsis = "[OPTION]…",
               .summary = "Receives traces over OTLP/HTTP (POST /v1/traces, protobuf or JSON) and OTLP/gRPC, on each of its ports, "
                          "as they are or gzipped, up to 16 MiB, and stores them in an SQLite database until SIGTERM, SIGINT or SIGHUP. GET /health returns 200. Anyone "
                          "who can connect can write, so listen on loopback unless you trust the network.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom trace collect\n"
                          "  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 loom-broker     a broker that exports to it\n"
                          "  loom trace collect --listen 127.0.0.1:0 --db /tmp/t.db --port-file /tmp/port\n"},
};

static void log_error(void *user, const char *message)
{
    (void)user;
    command_fail(&collect, "%s", message);
}

static bool write_all(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t written = write(fd, text, len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return false;
        }
        text += written;
        len -= (size_t)written;
    }
    return true;
}

static bool write_port_file(const char *path, uint16_t port)
{
    char text[16];
    snprintf(text, sizeof text, "%u\n", (unsigned)port);
    return whole_file_write(path, 0666, text);
}

static bool announce(const options *o, const receiver *r, const char *db_path, int *exit_code)
{
    const char *port_file = options_value(o, "port-file");
    uint64_t fd;
    if (!options_is_on(o, "quiet")) {
        printf("receiving traces on http://%s/v1/traces and by gRPC on %s, database %s\n", receiver_address(r),
               receiver_grpc_address(r), db_path);
        printf("for programs of any language, to paste where they start:\n  export OTEL_TRACES_EXPORTER=otlp OTEL_EXPORTER_OTLP_ENDPOINT=http://%s\n",
               receiver_address(r));
        fflush(stdout);
    }
    if (port_file != NULL && !write_port_file(port_file, receiver_port(r))) {
        *exit_code = command_fail(&collect, "cannot write %s: %s", port_file, strerror(errno));
        return false;
    }
    if (!trace_options_number(&collect, o, "ready-fd", 0, &fd, exit_code)) {
        return false;
    }
    if (options_has(o, "ready-fd")) {
        char line[256];
        snprintf(line, sizeof line, "%s\n", receiver_address(r));
        if (fd > INT32_MAX || !write_all((int)fd, line) || (fd > STDERR_FILENO && close((int)fd) != 0)) {
            *exit_code = command_fail(&collect, "cannot write to --ready-fd %" PRIu64 ": %s", fd, strerror(errno));
            return false;
        }
    }
    return true;
}

/* The run of a receiver. */
enum { SIGNALS = 3 };

typedef struct collecting {
    uv_loop_t loop;
    uv_signal_t signals[SIGNALS];
    receiver *receiver;
    bool quiet;
} collecting;

static void on_signal(uv_signal_t *handle, int number)
{
    collecting *c = handle->data;
    receiver_counts counts = receiver_read_counts(c->receiver);
    if (!c->quiet) {
        printf("stopped by %s: %" PRIu64 " requests, %" PRIu64 " spans and %" PRIu64 " log records stored, %" PRIu64 " requests refused\n",
               strsignal(number), counts.requests, counts.spans, counts.logs, counts.refused);
    }
    uv_stop(&c->loop);
}

static int serve(const options *o, store *db, const char *db_path)
{
    const char *listen = options_value(o, "listen");
    const char *grpc_listen = options_value(o, "grpc-listen");
    const receiver_options settings = {.listen = listen != NULL ? listen : "127.0.0.1:4318",
                                       .grpc_listen = grpc_listen != NULL ? grpc_listen : listen == NULL ? "127.0.0.1:4317" : NULL,
                                       .grpc_optional = grpc_listen == NULL, .db = db, .on_error = log_error};
    char why[RECEIVER_PROBLEM_SIZE];
    collecting c = {.quiet = options_is_on(o, "quiet")};
    if (!descriptors_free(DESCRIPTORS_FOR_A_LOOP)) {
        return command_fail(&collect, "too few file descriptors are free; raise their limit (ulimit -n)");
    }
    if (uv_loop_init(&c.loop) != 0) {
        return command_fail(&collect, "cannot start the event loop");
    }
    signal(SIGPIPE, SIG_IGN); /* a client that leaves is no reason to end */
    signal(SIGXFSZ, SIG_IGN); /* nor is a file that may not grow: spans are refused, then */
    static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP};
    int exit_code = VERB_OK;
    loom_status st = receiver_open(&c.receiver, &c.loop, &settings, why);
    if (st != LOOM_OK) {
        exit_code = st == LOOM_EINVAL ? command_misuse(&collect, "%s", why) : command_fail(&collect, "%s", why);
    } else {
        end_signals_watch(&c.loop, c.signals, numbers, SIGNALS, on_signal, &c);
        if (announce(o, c.receiver, db_path, &exit_code)) {
            uv_run(&c.loop, UV_RUN_DEFAULT);
        }
        for (size_t i = 0; i < SIGNALS; i++) {
            uv_close((uv_handle_t *)&c.signals[i], NULL);
        }
    }
    receiver_close(c.receiver);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    uv_loop_close(&c.loop);
    return exit_code;
}

static int run(const options *o)
{
    int exit_code = VERB_OK;
    store_retention keep;
    char *fallback;
    if (!trace_options_retention(&collect, o, &keep, &exit_code)) {
        return exit_code;
    }
    const char *path = trace_options_db(&collect, o, &fallback, &exit_code);
    if (path == NULL) {
        return exit_code;
    }
    char why[STORE_PROBLEM_SIZE];
    store *db;
    if (store_open_writer(&db, path, &keep, why) != LOOM_OK) {
        exit_code = command_fail(&collect, "%s", why);
    } else {
        exit_code = serve(o, db, path);
        store_close(db);
    }
    free(fallback);
    return command_finish(&collect, exit_code);
}

int verb_trace_collect(int argc, char *const argv[])
{
    return command_run(&collect, argc, argv, run);
}
