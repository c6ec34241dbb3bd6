/* SPDX-License-Identifier: Apache-2.0 */
/* The resource of a provider: who makes the spans (OpenTelemetry resource conventions).
 * What comes later wins: Loom's own, then OTEL_RESOURCE_ATTRIBUTES, then the caller's, then the service name. */
#include "base/percent.h"
#include "trace/export/env_report.h"
#include "trace/otlp/attr_encode.h"
#include "trace/otlp/fields.h"
#include "trace/span/provider.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <loom/version.h>

#define UUID_SIZE 37     /* 36 characters and NUL */
#define HOST_NAME_SIZE 256
#define RESOURCE_SIZE_MAX (1024u * 1024u)

typedef struct resource_builder {
    pb_buf body; /* the Resource message */
    attr_index index;
    bool no_memory;
} resource_builder;

static void put(resource_builder *r, const loom_attr *attr)
{
    uint32_t before = r->index.count;
    if (!attr_index_put(&r->index, &r->body, RESOURCE_ATTRIBUTES, attr) && before < ATTR_COUNT_MAX &&
        attr->key != NULL && attr->key[0] != '\0') {
        r->no_memory = true;
    }
}

static void put_string(resource_builder *r, const char *key, const char *value)
{
    put(r, &(loom_attr){.key = key, .type = LOOM_ATTR_STRING, .value.string = {value, strlen(value)}});
}

/* RFC 9562, version 4. */
static void make_uuid(char out[UUID_SIZE])
{
    uint8_t b[16];
    randombytes_buf(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0fu) | 0x40u);
    b[8] = (uint8_t)((b[8] & 0x3fu) | 0x80u);
    char hex[33];
    sodium_bin2hex(hex, sizeof hex, b, sizeof b);
    (void)snprintf(out, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* An address of this host, the same for all of its processes: the first of an interface that is up, IPv4 before IPv6, loopback
 * at last. */
static void host_address(char out[INET6_ADDRSTRLEN])
{
    struct ifaddrs *all = NULL;
    int best = 0;
    (void)snprintf(out, INET6_ADDRSTRLEN, "127.0.0.1");
    if (getifaddrs(&all) != 0) {
        return;
    }
    for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
        const bool usable = at->ifa_addr != NULL && (at->ifa_flags & IFF_UP) != 0 && (at->ifa_flags & IFF_LOOPBACK) == 0;
        if (usable && at->ifa_addr->sa_family == AF_INET && best < 2) {
            best = 2;
            (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr, out, INET6_ADDRSTRLEN);
        } else if (usable && at->ifa_addr->sa_family == AF_INET6 && best < 1) {
            best = 1;
            (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr, out, INET6_ADDRSTRLEN);
        }
    }
    freeifaddrs(all);
}

static void put_own(resource_builder *r)
{
    char uuid[UUID_SIZE];
    make_uuid(uuid);
    put_string(r, "service.instance.id", uuid);
    char host[HOST_NAME_SIZE] = "";
    if (gethostname(host, sizeof host - 1) == 0 && host[0] != '\0') {
        put_string(r, "host.name", host);
    }
    /* what Jaeger's older adjuster, behind /api/traces and its page, tells hosts apart by: without it every asynchronous child
     * has a warning about clock skew */
    char address[INET6_ADDRSTRLEN];
    host_address(address);
    put_string(r, "ip", address);
    put(r, &(loom_attr){.key = "process.pid", .type = LOOM_ATTR_INT, .value.integer = getpid()});
    put_string(r, "telemetry.sdk.name", "loom");
    put_string(r, "telemetry.sdk.language", "c");
    put_string(r, "telemetry.sdk.version", LOOM_VERSION);
}

typedef struct env_walk {
    resource_builder *resource;
    char *service_name; /* heap, or NULL */
} env_walk;

static bool put_from_env(void *user, const char *key, const char *value)
{
    env_walk *walk = user;
    if (strcmp(key, "service.name") == 0) {
        free(walk->service_name);
        walk->service_name = strdup(value);
        walk->resource->no_memory |= walk->service_name == NULL;
    } else {
        put_string(walk->resource, key, value);
    }
    return true;
}

static char *default_name(const loom_tracer_provider_options *options)
{
    if (options->default_service_name != NULL && options->default_service_name[0] != '\0') {
        return strdup(options->default_service_name);
    }
    char *name;
    return asprintf(&name, "unknown_service:%s", program_invocation_short_name) < 0 ? NULL : name;
}

/* from_env is taken over. */
static char *choose_name(const loom_tracer_provider_options *options, char *from_env)
{
    const char *name = options->service_name != NULL ? options->service_name : env_get("OTEL_SERVICE_NAME");
    if (name != NULL && name[0] != '\0') {
        free(from_env);
        return strdup(name);
    }
    if (from_env != NULL && from_env[0] != '\0') {
        return from_env;
    }
    free(from_env);
    name = env_get("TRACING_SERVICE_NAME");
    return name != NULL ? strdup(name) : default_name(options);
}

static loom_status close_resource(pb_buf *out, resource_builder *r)
{
    pb_init(out, NULL, 0, RESOURCE_SIZE_MAX + PB_VARINT_MAX * 2u);
    pb_bytes_field(out, RESOURCE_SPANS_RESOURCE, r->body.data, r->body.len);
    if (r->no_memory || out->failed) {
        pb_fini(out);
        return LOOM_ENOMEM;
    }
    return LOOM_OK;
}

loom_status resource_encode(pb_buf *out, char **service_name, const loom_tracer_provider_options *options)
{
    resource_builder r = {.no_memory = false};
    pb_init(&r.body, NULL, 0, RESOURCE_SIZE_MAX);
    attr_index_init(&r.index, ATTR_LIMITS_DEFAULT);
    put_own(&r);
    env_walk walk = {.resource = &r};
    loom_status st = percent_pairs(env_get("OTEL_RESOURCE_ATTRIBUTES"), put_from_env, &walk);
    for (size_t i = 0; i < options->resource_count; i++) {
        put(&r, &options->resource[i]);
    }
    char *name = choose_name(options, walk.service_name);
    if (st == LOOM_OK && name != NULL) {
        put_string(&r, "service.name", name);
        st = close_resource(out, &r);
    } else {
        st = LOOM_ENOMEM;
    }
    pb_fini(&r.body);
    if (st != LOOM_OK) {
        free(name);
        return st;
    }
    *service_name = name;
    return LOOM_OK;
}
