/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing SDKs of other languages, for the span scenario alone: each is a program that install.sh has built. */
#include <stdlib.h>
#include <unistd.h>

#include "tools/bench/peers/peers.h"

/* Where install.sh puts it, or in PATH. */
static bool find(char out[SITE_URL_SIZE], const char *name)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const bool has_cache = cache != NULL && cache[0] == '/';
    const int len = has_cache ? snprintf(out, SITE_URL_SIZE, "%s/loom/bench/%s", cache, name)
                              : snprintf(out, SITE_URL_SIZE, "%s/.cache/loom/bench/%s", home != NULL ? home : "", name);
    return (len < SITE_URL_SIZE && access(out, X_OK) == 0) || site_find_program(out, name);
}

static bool is_there(const char *name, const char *language, char *why, size_t why_size)
{
    char path[SITE_URL_SIZE];
    if (find(path, name)) {
        return true;
    }
    snprintf(why, why_size, "there is no %s: install %s, then run tools/bench/peers/install.sh", name, language);
    return false;
}

#define GO_PROGRAM   "loom-bench-span-go"
#define RUST_PROGRAM "loom-bench-span-rust"

static bool go_available(const bench_setup *setup, char *why, size_t why_size)
{
    (void)setup;
    return is_there(GO_PROGRAM, "Go 1.24 or later", why, why_size);
}

static bool go_program(char out[SITE_URL_SIZE])
{
    return find(out, GO_PROGRAM);
}

const bench_peer bench_peer_otel_go = {
    .name = "otel-go",
    .summary = "the OpenTelemetry Go SDK (span)",
    .available = go_available,
    .span_program = go_program,
};

static bool rust_available(const bench_setup *setup, char *why, size_t why_size)
{
    (void)setup;
    return is_there(RUST_PROGRAM, "Rust 1.85 or later", why, why_size);
}

static bool rust_program(char out[SITE_URL_SIZE])
{
    return find(out, RUST_PROGRAM);
}

const bench_peer bench_peer_otel_rust = {
    .name = "otel-rust",
    .summary = "the OpenTelemetry Rust SDK (span)",
    .available = rust_available,
    .span_program = rust_program,
};
