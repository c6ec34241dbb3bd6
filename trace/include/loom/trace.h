/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing: tracer providers, tracers, spans, the current span of a thread.
 *
 * A provider is a resource (service.name …), a sampler and a span processor. A processor is a bounded queue, one
 * exporter thread and one exporter, or several; several providers may share one, as loom-broker does for its two services.
 * A tracer belongs to a provider. A span belongs to whoever started it, until it is ended.
 *
 * Threads: providers, processors and tracers may be used from any thread. A span is used by one thread at a time.
 * Nothing here ever blocks its caller on the network or the disk, except flush and shutdown, up to their deadline. */
#ifndef LOOM_TRACE_H
#define LOOM_TRACE_H

#include <loom/context.h>

LOOM_BEGIN_DECLS

/* ---- attributes ---- */

typedef enum loom_attr_type {
    LOOM_ATTR_STRING,
    LOOM_ATTR_BOOL,
    LOOM_ATTR_INT,
    LOOM_ATTR_DOUBLE,
    LOOM_ATTR_STRINGS,
    LOOM_ATTR_BOOLS,
    LOOM_ATTR_INTS,
    LOOM_ATTR_DOUBLES
} loom_attr_type;

/* One attribute, borrowed for the call. key is NUL-terminated and not empty. */
typedef struct loom_attr {
    const char *key;
    loom_attr_type type;
    union {
        loom_str string;
        bool boolean;
        int64_t integer;
        double real;
        struct {
            const void *items; /* loom_str[], bool[], int64_t[] or double[], by type */
            size_t count;
        } array;
    } value;
} loom_attr;

/* ---- processor and exporters ---- */

typedef struct loom_span_processor loom_span_processor; /* reference counted */
typedef struct loom_span_stage loom_span_stage;         /* rewrites spans before they are exported: <loom/pipeline.h> */

#define LOOM_SPANS_FILE_DEFAULT "loom-spans.jsonl" /* of LOOM_EXPORTER_FILE without an endpoint */

typedef enum loom_exporter_kind {
    LOOM_EXPORTER_NONE,      /* spans are made and thrown away */
    LOOM_EXPORTER_OTLP_GRPC, /* OTLP over HTTP/2, port 4317 */
    LOOM_EXPORTER_OTLP_HTTP, /* OTLP protobuf by POST to …/v1/traces, port 4318 */
    LOOM_EXPORTER_CONSOLE,   /* a line a span on standard error, for eyes */
    LOOM_EXPORTER_FILE,      /* OTLP/JSON lines: one ExportTraceServiceRequest each, appended */
    LOOM_EXPORTER_OTLP_HTTP_JSON, /* OTLP/JSON by POST, otherwise as OTLP_HTTP */
    LOOM_EXPORTER_STDOUT,    /* OTLP/JSON lines on standard output */
    LOOM_EXPORTER_CALLBACK,  /* the program's own: export_batch below */
    LOOM_EXPORTER_LINES,     /* a line a span on standard error, for `loom exec` (trace/process/libraries/FORMAT.md) */
    LOOM_EXPORTER_LINK       /* over the link of an agent to its bridge (OTEL_TRACES_EXPORTER=loom): the first agent that has
                                this processor's spans, with the provider in its options or from the environment, carries them */
} loom_exporter_kind;

/* Which of its own problems a processor reports to on_error. */
typedef enum loom_complaints {
    LOOM_COMPLAINTS_ALL,    /* also an export that failed and is tried again */
    LOOM_COMPLAINTS_LOSSES, /* spans that are lost, an exporter that cannot be opened */
    LOOM_COMPLAINTS_NONE
} loom_complaints;

typedef struct loom_span_processor_options {
    loom_exporter_kind exporter;
    const char *endpoint;             /* URL (OTLP) or path (file); NULL: the default of the kind */
    const char *also_file;            /* a second exporter, file, for the same batches; NULL: none */
    size_t max_queue_size;            /* spans; 0: 2048    (OTEL_BSP_MAX_QUEUE_SIZE) */
    size_t max_export_batch_size;     /* spans; 0: 512     (OTEL_BSP_MAX_EXPORT_BATCH_SIZE) */
    uint32_t schedule_delay_ms;       /* 0: 5000, over a link 1000 (OTEL_BSP_SCHEDULE_DELAY) */
    uint32_t export_timeout_ms;       /* a batch with its retries; 0: 30000 (OTEL_BSP_EXPORT_TIMEOUT) */
    uint32_t otlp_timeout_ms;         /* one attempt; 0: 10000 (OTEL_EXPORTER_OTLP_TIMEOUT) */
    bool endpoint_is_exact;           /* OTLP/HTTP: post to the endpoint as it is; else v1/traces is appended to it */
    const char *headers;              /* sent with every request: k=v,k=v, percent-encoded (OTEL_EXPORTER_OTLP_HEADERS) */
    const char *ca_file;              /* PEM to trust for https (OTEL_EXPORTER_OTLP_CERTIFICATE); NULL: the system's */
    void (*on_error)(void *user, const char *message); /* from the exporter thread, rate limited, and from create, which
                                                          says why it fails; NULL: none */
    void *user;
    bool secure;                      /* an OTLP endpoint without a scheme, host:port, is https (OTEL_EXPORTER_OTLP_INSECURE=false) */
    bool gzip;                        /* OTLP: compress what is sent (OTEL_EXPORTER_OTLP_COMPRESSION) */
    bool disabled;                    /* tracers of this processor are NULL: no spans, contexts are passed on (OTEL_SDK_DISABLED) */
    bool also_console, also_stdout;   /* further exporters of the same batches, as also_file */
    const char *client_certificate_file, *client_key_file; /* PEM, for https that asks who calls; NULL: none */
    loom_complaints complaints;       /* what on_error hears (OTEL_LOG_LEVEL) */
    const char *log_spans;            /* log finished spans, as <loom/log.h> says: "all", "slow:100ms" …; NULL: none (LOOM_LOG_SPANS) */
    struct loom_logger *span_logger;  /* where to; the processor takes its own reference. NULL: JSON on standard error */
    /* LOOM_EXPORTER_CALLBACK: takes one batch, an OTLP ExportTraceServiceRequest in protobuf, borrowed for the call. Called
     * on the exporter thread, one batch at a time, with no lock held. false: the batch is lost and counted so; it is not
     * tried again. It gets `user`, like on_error. */
    bool (*export_batch)(void *user, loom_bytes request);
    loom_span_stage *const *stages;   /* run in this order; those of the environment follow. The processor takes references */
    size_t stage_count;
    bool also_lines;                  /* LOOM_EXPORTER_LINES as a further exporter, as also_file */
    /* OTLP: nobody has named a receiver, and there may well be none. As long as no batch was taken, that nobody listens is told
     * once and no more, to on_absent, or to on_error where that is NULL. */
    bool guessed;
    void (*on_absent)(void *user, const char *message); /* as on_error */
} loom_span_processor_options;

/* Fills options from the environment; docs/OPENTELEMETRY.md lists the variables. Without a protocol an endpoint with port
 * 4318 is OTLP/HTTP and any other one gRPC. OTEL_TRACES_EXPORTER may be a list: otlp, if it is there, is the exporter
 * that counts, and the others are its also_*. LOOM_SPANS_FILE sets also_file, or is where otlp/file writes. Strings point
 * into the environment.
 * Names of values are read in any letter case. A value that makes no sense is ignored, as the specification asks: *bad is
 * then the name of the first such variable (static; else NULL), and loom_telemetry_check_env() tells of all. bad may be NULL. */
LOOM_API void loom_span_processor_options_from_env(loom_span_processor_options *out, const char **bad);

/* Tells of every variable of the environment whose value makes no sense: its name, the value, what is used instead (of
 * headers, which hold secrets, no value), and of names that are nearly those of a variable, such as OTEL_TRACE_EXPORTER.
 * Nothing of it when OTEL_LOG_LEVEL is error or none. For a program to log once, at its start.
 * tell NULL: on standard error, and once in the life of a process, whoever asks: agents without on_error and
 * loom_span_processor_create(&processor, NULL) do. */
LOOM_API void loom_telemetry_check_env(void (*tell)(void *user, const char *text), void *user);

/* For a program that goes on without tracing: NULL for a processor or a provider does nothing everywhere.
 * options NULL: from the environment; what makes no sense in it, and later failures of exports, are lines on standard error.
 * LOOM_EINVAL: an endpoint that is neither an http(s) URL nor host:port, or no
 * export_batch where one is asked for. LOOM_EIO: a file that cannot be opened. */
LOOM_API LOOM_MUST_CHECK loom_status loom_span_processor_create(loom_span_processor **out,
                                                                const loom_span_processor_options *options);
LOOM_API loom_span_processor *loom_span_processor_ref(loom_span_processor *processor);
/* The last reference shuts down with a deadline of 5 s if nobody did. NULL is allowed. */
LOOM_API void loom_span_processor_unref(loom_span_processor *processor);
/* Exports what has ended so far; a sleep before a retry is cut short. LOOM_ETIMEDOUT when the deadline passes first,
 * LOOM_EIO when spans were given up meanwhile, LOOM_ECLOSED after shutdown. */
LOOM_API loom_status loom_span_processor_flush(loom_span_processor *processor, uint32_t timeout_ms);
/* Flushes, then stops the exporter thread; a transfer under way at the deadline is cut off. Later spans are dropped and
 * counted. Idempotent. LOOM_ETIMEDOUT: spans were left over. LOOM_EIO: the exporter gave some up.
 * In the child of a fork() there is no exporter thread: flush and shutdown are LOOM_ECLOSED, spans are counted as
 * dropped_shutdown. */
LOOM_API loom_status loom_span_processor_shutdown(loom_span_processor *processor, uint32_t timeout_ms);

/* Every span ended is in exactly one of exported, dropped_* or still queued. */
typedef struct loom_span_counts {
    uint64_t ended;            /* sampled spans handed to the processor */
    uint64_t exported;         /* accepted by the receiver (or written to the file, when that is the exporter) */
    uint64_t dropped_full;     /* the queue was full */
    uint64_t dropped_failed;   /* the exporter gave up, or the receiver rejected them */
    uint64_t dropped_shutdown; /* ended after shutdown, or not delivered by its deadline */
} loom_span_counts;
LOOM_API loom_span_counts loom_span_processor_counts(const loom_span_processor *processor);

/* ---- providers and tracers ---- */

typedef enum loom_sampler_kind {
    LOOM_SAMPLER_PARENTBASED_ALWAYS_ON, /* the default */
    LOOM_SAMPLER_PARENTBASED_ALWAYS_OFF,
    LOOM_SAMPLER_PARENTBASED_RATIO,
    LOOM_SAMPLER_ALWAYS_ON,
    LOOM_SAMPLER_ALWAYS_OFF,
    LOOM_SAMPLER_RATIO,
    LOOM_SAMPLER_PARENTBASED_RATE_LIMITED,
    LOOM_SAMPLER_RATE_LIMITED,
    LOOM_SAMPLER_PARENTBASED, /* a sampler for each case of the parent; this and those below: <loom/sampler.h> */
    LOOM_SAMPLER_RULES,       /* by name, kind and attributes */
    LOOM_SAMPLER_CUSTOM       /* a function */
} loom_sampler_kind;

/* Which spans are kept. A parent-based kind follows a parent, and decides as its name goes on where there is none. */
typedef struct loom_sampler {
    loom_sampler_kind kind;
    double ratio;      /* 0 to 1, for the ratio kinds. The right-most 7 bytes of the trace id decide (W3C Trace Context level 2,
                          "Random Trace ID"; OpenTelemetry, "Probability sampling": kept if R >= T), so every process decides
                          alike, and what a smaller ratio keeps a larger one keeps too */
    double per_second; /* 0 to 1e9, for the rate-limited kinds: at most so many a second, and as many at once (at least one).
                          LOOM_SAMPLER_RATE_LIMITED counts spans, below a parent-based one it is traces that start here */
    const struct loom_sampler_parents *parents;
    const struct loom_sampler_rules *rules;
    const struct loom_sampler_custom *custom;
} loom_sampler;
typedef struct loom_sampler_parents loom_sampler_parents;
typedef struct loom_sampler_rules loom_sampler_rules;
typedef struct loom_sampler_custom loom_sampler_custom;

/* OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG (and the alias OTEL_TRACE_SAMPLER): those of the specification, and
 * rate_limited and parentbased_rate_limited, whose argument is traces a second (100 without one). Values that make no sense:
 * the default. */
LOOM_API loom_sampler loom_sampler_from_env(void);

/* How much a span keeps (OpenTelemetry, trace SDK, "Span Limits"). Attributes, events and links beyond are dropped and
 * counted in the span; of a longer string the beginning is kept. */
typedef struct loom_span_limits {
    uint32_t attribute_count;        /* of a span: at most LOOM_SPAN_ATTRIBUTES_MAX */
    uint32_t attribute_value_length; /* characters of a string, also in arrays, events and links; UINT32_MAX: no limit */
    uint32_t event_count, link_count;
    uint32_t event_attribute_count, link_attribute_count; /* of each; what is above LOOM_SPAN_ATTRIBUTES_MAX counts as that */
} loom_span_limits;
#define LOOM_SPAN_ATTRIBUTES_MAX 1024u
#define LOOM_SPAN_LIMITS_DEFAULT {128, UINT32_MAX, 128, 128, 128, 128}

/* OTEL_SPAN_*_LIMIT, OTEL_EVENT_… and OTEL_LINK_ATTRIBUTE_COUNT_LIMIT, OTEL_ATTRIBUTE_*_LIMIT. Values that make no sense:
 * the default. */
LOOM_API loom_span_limits loom_span_limits_from_env(void);

typedef struct loom_tracer_provider loom_tracer_provider; /* reference counted */
typedef struct loom_tracer loom_tracer;                   /* owned by its provider, valid as long */

typedef struct loom_tracer_provider_options {
    const char *service_name;      /* used as it is; NULL: OTEL_SERVICE_NAME, then OTEL_RESOURCE_ATTRIBUTES, then
                                      default_service_name, then "unknown_service:<program>" */
    const char *default_service_name;
    const loom_attr *resource;     /* more resource attributes; service.instance.id, host.name, process.pid and
                                      telemetry.sdk.* are there already, OTEL_RESOURCE_ATTRIBUTES too */
    size_t resource_count;
    const loom_sampler *sampler;   /* copied; NULL: loom_sampler_from_env() */
    loom_span_processor *processor; /* the provider takes its own reference */
    const loom_span_limits *limits; /* NULL: loom_span_limits_from_env(); LOOM_EINVAL: more attributes than the maximum */
} loom_tracer_provider_options;

LOOM_API LOOM_MUST_CHECK loom_status loom_tracer_provider_create(loom_tracer_provider **out,
                                                                 const loom_tracer_provider_options *options);
LOOM_API loom_tracer_provider *loom_tracer_provider_ref(loom_tracer_provider *provider); /* returns provider */
/* Spans may still be running: they end as usual. NULL is allowed. */
LOOM_API void loom_tracer_provider_unref(loom_tracer_provider *provider);
LOOM_API const char *loom_tracer_provider_service_name(const loom_tracer_provider *provider);
/* Its processor is disabled: every tracer is NULL. */
LOOM_API bool loom_tracer_provider_is_disabled(const loom_tracer_provider *provider);
/* The tracer of an instrumentation scope; the same name and version give the same tracer. NULL, which starts spans that do
 * nothing: out of memory, or the provider is disabled. */
LOOM_API loom_tracer *loom_tracer_get(loom_tracer_provider *provider, const char *scope_name, const char *scope_version);

/* All that may be said of a scope (OpenTelemetry, trace API, "Get a Tracer"). */
typedef struct loom_scope {
    const char *name, *version;  /* NULL: "" */
    const char *schema_url;      /* of the semantic conventions that its spans follow; NULL: none */
    const loom_attr *attributes; /* at most 128 */
    size_t attribute_count;
} loom_scope;
/* loom_tracer_get() of such a scope: all of it tells tracers apart. NULL also for a scope that is NULL. */
LOOM_API loom_tracer *loom_tracer_get_scope(loom_tracer_provider *provider, const loom_scope *scope);

/* ---- spans ---- */

typedef struct loom_span loom_span;

/* Values as in OTLP's Span.SpanKind. */
typedef enum loom_span_kind {
    LOOM_SPAN_INTERNAL = 1,
    LOOM_SPAN_SERVER = 2,
    LOOM_SPAN_CLIENT = 3,
    LOOM_SPAN_PRODUCER = 4,
    LOOM_SPAN_CONSUMER = 5
} loom_span_kind;

typedef enum loom_span_status { LOOM_SPAN_UNSET = 0, LOOM_SPAN_OK = 1, LOOM_SPAN_ERROR = 2 } loom_span_status;

/* Another span this one refers to, given at start or added later. One whose context is invalid is kept when it has attributes
 * or a tracestate (OpenTelemetry, trace API, "Link"); else it is dropped and counted. */
typedef struct loom_link {
    loom_trace_context context;
    const loom_attr *attrs;
    size_t attr_count;
    loom_str tracestate;    /* that came with the context; may be empty */
    bool context_is_remote; /* it came from another process: OTLP flags bits 8 and 9 */
} loom_link;

/* Here, and of events and links, a list that is NULL is empty whatever its count. */
typedef struct loom_span_options {
    loom_span_kind kind;              /* 0: INTERNAL */
    const loom_trace_context *parent; /* NULL: the current span of this thread; an invalid one: no parent; with a trace id
                                         and no span id: the root of that trace */
    bool parent_is_remote;            /* parent came from another process: OTLP flags bits 8 and 9 */
    loom_str tracestate;              /* of the parent, passed on; may be empty */
    bool root;                        /* ignore the current span: start a new trace */
    uint64_t start_unix_ns;           /* 0: now */
    const loom_attr *attrs;
    size_t attr_count;
    const loom_link *links;
    size_t link_count;
} loom_span_options;

/* Starts a span. Never fails: with a NULL tracer, an unsampled decision or no memory it returns a span that records
 * nothing. One that is not sampled has an id of its own and passes the decision on. With a NULL tracer the context is the
 * parent's; without a parent there is none, a message then carries none, and the next hop starts the trace.
 * An unsampled span costs no allocation (beyond the first few of a thread, which are kept and used again).
 * options NULL: a child of the current span.
 * The caller owns the span until loom_span_end(). */
LOOM_API loom_span *loom_span_start(loom_tracer *tracer, const char *name, const loom_span_options *options);

/* Ends once: stamps the time, hands the bytes to the processor, restores this thread's current span if this one is on
 * its stack, and frees the span. NULL is allowed. Ending it again does nothing, and so does everything else that is done
 * to a span that has ended (OpenTelemetry, trace API, "End"). */
LOOM_API void loom_span_end(loom_span *span);
LOOM_API void loom_span_end_at(loom_span *span, uint64_t end_unix_ns);

/* Whether attributes and events are kept, so that costly ones need not be computed. */
LOOM_API bool loom_span_is_recording(const loom_span *span);
/* The context children and messages carry. Valid while the span lives. Of a span that does not record it is made when first
 * asked for: to threads that start children of it, give a copy. */
LOOM_API const loom_trace_context *loom_span_context(const loom_span *span);

/* The tracestate that goes with it; empty when there is none. Valid while the span lives. */
LOOM_API loom_str loom_span_tracestate(const loom_span *span);

/* On a span that does not record, and on NULL, all of these do nothing. Strings are copied; bytes that are no UTF-8 become
 * U+FFFD. Setting a key again overwrites. A span keeps what its provider's loom_span_limits allow, and 256 KiB in all; what
 * is over is dropped and counted in the span. */
LOOM_API void loom_span_set_name(loom_span *span, const char *name);
LOOM_API void loom_span_set_attr(loom_span *span, const loom_attr *attr);
LOOM_API void loom_span_set_string(loom_span *span, const char *key, const char *value); /* NUL-terminated */
LOOM_API void loom_span_set_str(loom_span *span, const char *key, loom_str value);
LOOM_API void loom_span_set_bool(loom_span *span, const char *key, bool value);
LOOM_API void loom_span_set_int(loom_span *span, const char *key, int64_t value);
LOOM_API void loom_span_set_double(loom_span *span, const char *key, double value);
/* The same of a key that comes with its length. The four above end here, and the length of a literal is known when they are
 * compiled. */
LOOM_API void loom_span_put_str(loom_span *span, loom_str key, loom_str value);
LOOM_API void loom_span_put_bool(loom_span *span, loom_str key, bool value);
LOOM_API void loom_span_put_int(loom_span *span, loom_str key, int64_t value);
LOOM_API void loom_span_put_double(loom_span *span, loom_str key, double value);
LOOM_API void loom_span_add_event(loom_span *span, const char *name, const loom_attr *attrs, size_t attr_count);
LOOM_API void loom_span_add_link(loom_span *span, const loom_link *link);
/* The last call counts, but OK is final and UNSET is ignored (OpenTelemetry, trace API, "Set Status"). description is kept with
 * ERROR; may be NULL. */
LOOM_API void loom_span_set_status(loom_span *span, loom_span_status status, const char *description);
/* An "exception" event (exception.type, exception.message), status ERROR and error.type. More of this kind: <loom/span.h> */
LOOM_API void loom_span_record_error(loom_span *span, const char *type, const char *message);

/* ---- the current span of this thread ---- */

/* Pushes span on this thread's stack; loom_span_end() takes it off and restores what was current before. */
LOOM_API void loom_span_make_current(loom_span *span);
/* Pushes and pops a bare context, for a message handled without a span of its own (unsampled). Pops in any order are safe:
 * a pop removes the entry with this token and everything above it. Both are copied. Token 0: not pushed, the stack is
 * 1024 deep or there is no memory. */
LOOM_API uint64_t loom_context_push(const loom_trace_context *ctx, loom_str tracestate);
LOOM_API void loom_context_pop(uint64_t token);
/* The innermost current context of this thread, or NULL when there is none. Valid until the stack changes. */
LOOM_API const loom_trace_context *loom_context_current(void);
/* The tracestate that goes with it. Valid until the stack changes. */
LOOM_API loom_str loom_context_current_tracestate(void);
/* The current span, or NULL: also when the innermost current context is a bare one. */
LOOM_API loom_span *loom_span_current(void);

/* Nanoseconds since the Unix epoch, the clock of every span. */
LOOM_API uint64_t loom_time_unix_ns(void);

LOOM_END_DECLS

#include <loom/trace_inline.h>
#endif
