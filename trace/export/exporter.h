/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between the exporter thread and what carries a batch away.
 *
 * send(), prepare() and reopen() run on the exporter thread only; interrupt() on any thread. A batch is an OTLP ExportTraceServiceRequest. */
#ifndef LOOM_TRACE_EXPORT_EXPORTER_H
#define LOOM_TRACE_EXPORT_EXPORTER_H

#include "trace/export/env_report.h"

#include <loom/trace.h>

#include <stdatomic.h>

typedef enum export_outcome {
    EXPORT_OK,
    EXPORT_RETRY,      /* it may work later */
    EXPORT_UNREACHABLE, /* likewise, but nobody listens there at all */
    EXPORT_TOO_LARGE,  /* for the receiver; less at once may do */
    EXPORT_FAILED      /* trying again is no use */
} export_outcome;

typedef struct export_result {
    export_outcome outcome;
    uint64_t retry_after_ms; /* what the receiver asked for; 0: nothing */
    uint64_t rejected;       /* spans refused by partial success */
    char message[256];       /* why, in English; empty: nothing to say */
} export_result;

/* Until when one attempt may take: monotonic nanoseconds. The second may move closer while send() runs. */
typedef struct export_deadline {
    uint64_t attempt_ns;
    const atomic_uint_fast64_t *stop_ns;
} export_deadline;

typedef struct exporter exporter;
typedef struct exporter_ops {
    void (*send)(exporter *self, loom_bytes request, export_deadline until, export_result *result);
    void (*prepare)(exporter *self);   /* what the first send() would do first, earlier; NULL: nothing */
    void (*reopen)(exporter *self);    /* the file was moved away: goes on in a new one; NULL: there is no file */
    void (*interrupt)(exporter *self); /* makes a running send() look at its deadline again */
    void (*lost)(exporter *self, uint64_t spans); /* how many of all, after the last send(); NULL: it tells nobody */
    void (*close)(exporter *self);
} exporter_ops;
struct exporter {
    const exporter_ops *ops;
};

#define EXPORTERS_ALSO_MAX 5u /* file, standard output, console, lines, log */

/* exporter_open.c: the exporter that options name, and those that get the same batches (the rest of also is NULL). With no
 * exporter but such ones, the first of them is main; with none at all main is NULL. The errors of those below; nothing is
 * open then. */
loom_status exporters_open(exporter **main, exporter *also[EXPORTERS_ALSO_MAX], const loom_span_processor_options *options);
/* NULL is allowed. */
static inline void exporter_close(exporter *e)
{
    if (e != NULL) {
        e->ops->close(e);
    }
}

loom_status console_exporter_open(exporter **out);
loom_status lines_exporter_open(exporter **out);
/* options->log_spans, which is not NULL. LOOM_EINVAL: it is no such list. */
loom_status log_exporter_open(exporter **out, const loom_span_processor_options *options);
loom_status stdout_exporter_open(exporter **out);
/* LOOM_EINVAL: no export_batch. */
loom_status callback_exporter_open(exporter **out, const loom_span_processor_options *options);
loom_status link_exporter_open(exporter **out); /* span_link.c */
/* LOOM_EIO: cannot be opened for appending. */
loom_status file_exporter_open(exporter **out, const char *path);
/* stream_write.c: how many bytes were written, with one write(2) where the system allows. Less than all: errno says why;
 * EAGAIN: there was no room until the deadline. Waits no longer than that, also where fd blocks and nobody reads it. On the
 * exporter thread, which has SIGPIPE blocked. */
size_t stream_write(int fd, const uint8_t *data, size_t len, export_deadline until);
/* LOOM_EINVAL: the endpoint is no http or https URL. LOOM_EIO: libcurl cannot be used, or has no HTTP/2 for gRPC. */
loom_status otlp_exporter_open(exporter **out, const loom_span_processor_options *options);

/* otlp_exporter.c: one header, one that HTTP allows, and none that is the exporter's own. */
bool otlp_header_valid(const char *key, const char *value);
/* headers_env.c: the headers of the environment, as they stand there. NULL: none. report may be NULL. */
const char *otlp_headers_from_env(const env_report *report);

/* endpoint.c: the URL to post to, on the heap. */
loom_status endpoint_url(char **out, const loom_span_processor_options *options);
/* Whether its host is this machine: localhost, 127.0.0.0/8, ::1, and no name that merely begins like one. */
bool endpoint_is_loopback(const char *url);

/* environment.c: what a command line says, which counts before the environment. An endpoint selects the OTLP exporter, with
 * all that the environment says of one but where it is; host:port is https as OTEL_EXPORTER_OTLP_INSECURE has it. A protocol
 * is that of an OTLP exporter, and changes no other. Either may be NULL. False: there is no such protocol. */
bool exporter_set_otlp(loom_span_processor_options *options, const char *endpoint, const char *protocol);
/* The OTLP exporter, as the environment says of it, in place of the one that it names. */
void exporter_use_otlp(loom_span_processor_options *options);
/* Whether anything becomes of spans. */
static inline bool exporter_is_wanted(const loom_span_processor_options *o)
{
    return o->exporter != LOOM_EXPORTER_NONE || o->also_file != NULL || o->log_spans != NULL;
}

static inline uint64_t export_deadline_ns(export_deadline until)
{
    uint64_t stop = atomic_load_explicit(until.stop_ns, memory_order_acquire);
    return stop < until.attempt_ns ? stop : until.attempt_ns;
}

#endif
