/* SPDX-License-Identifier: Apache-2.0 */
/* A program that knows nothing of the bus, and traces over gRPC as docs/PROPAGATION.md shows it. Its service has one method,
 * which takes bytes and returns bytes, so that nothing need be generated.
 *   calling call ADDRESS       a client: a span of its own, and its context in the metadata; prints where it was answered
 *   calling serve [ADDRESS]    a server: prints its address, answers one call with a span under what came in its metadata, and
 *                              within that span calls the server at ADDRESS
 * LOOM_SPANS_FILE keeps the spans. OTEL_PROPAGATORS chooses the metadata. */
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <loom/propagation.h>
#include <stdio.h>
#include <string.h>

#define METHOD "/loom.Echo/Call"
enum { METADATA_MAX = 16, DEADLINE_S = 20 };

/* docs/PROPAGATION.md, "gRPC metadata" */
typedef struct metadata {
    grpc_metadata items[METADATA_MAX];
    size_t count;
} metadata;

static loom_status set_metadata(void *user, const char *name, loom_str value)
{
    metadata *out = user;
    if (value.data == NULL) {
        return LOOM_OK; /* nothing to take away: it is new */
    }
    if (out->count == METADATA_MAX) {
        return LOOM_EFULL;
    }
    out->items[out->count++] = (grpc_metadata){.key = grpc_slice_from_copied_string(name),
                                               .value = grpc_slice_from_copied_buffer(value.data, value.len)};
    return LOOM_OK;
}

static size_t get_metadata(void *user, const char *name, loom_str *values, size_t max)
{
    const grpc_metadata_array *in = user;
    size_t found = 0;
    for (size_t i = 0; i < in->count; i++) {
        const grpc_slice *value = &in->metadata[i].value;
        if (grpc_slice_str_cmp(in->metadata[i].key, name) == 0) {
            if (found < max) {
                values[found] = (loom_str){(const char *)GRPC_SLICE_START_PTR(*value), GRPC_SLICE_LENGTH(*value)};
            }
            found++;
        }
    }
    return found;
}

/* ---- gRPC's side ---- */

static void metadata_free(metadata *m)
{
    for (size_t i = 0; i < m->count; i++) {
        grpc_slice_unref(m->items[i].key);
        grpc_slice_unref(m->items[i].value);
    }
}

static gpr_timespec deadline(void)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(DEADLINE_S, GPR_TIMESPAN));
}

/* Whether the one operation that is under way has ended well. */
static bool completed(grpc_completion_queue *queue)
{
    const grpc_event event = grpc_completion_queue_next(queue, deadline(), NULL);
    return event.type == GRPC_OP_COMPLETE && event.success != 0;
}

static bool run_batch(grpc_call *call, grpc_completion_queue *queue, const grpc_op *ops, size_t count)
{
    return grpc_call_start_batch(call, ops, count, NULL, NULL) == GRPC_CALL_OK && completed(queue);
}

static void queue_free(grpc_completion_queue *queue)
{
    grpc_completion_queue_shutdown(queue);
    while (grpc_completion_queue_next(queue, deadline(), NULL).type == GRPC_OP_COMPLETE) {
    }
    grpc_completion_queue_destroy(queue);
}

static grpc_byte_buffer *message(void)
{
    grpc_slice text = grpc_slice_from_static_string("hello");
    return grpc_raw_byte_buffer_create(&text, 1);
}

static void print_where_it_was_answered(grpc_metadata_array *response)
{
    const loom_carrier from = {.get = get_metadata, .user = response};
    char trace_id[LOOM_TRACE_ID_HEX_SIZE];
    loom_propagation in;
    (void)loom_propagation_extract(&in, &from, LOOM_PROPAGATOR_X_TRACE_ID, NULL);
    if (in.answered != 0) {
        loom_trace_id_to_hex(trace_id, in.context.trace_id);
        printf("answered in trace %s\n", trace_id);
    }
    loom_propagation_fini(&in);
}

/* One call from its start to its status. */
static grpc_status_code exchange(grpc_call *call, grpc_completion_queue *queue, metadata *request)
{
    grpc_metadata_array initial, trailing;
    grpc_byte_buffer *sent = message(), *received = NULL;
    grpc_status_code code = GRPC_STATUS_UNKNOWN;
    grpc_slice details = grpc_empty_slice();
    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    const grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA, .data.send_initial_metadata = {.count = request->count, .metadata = request->items}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message = {sent}},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
        {.op = GRPC_OP_RECV_INITIAL_METADATA, .data.recv_initial_metadata = {&initial}},
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message = {&received}},
        {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
         .data.recv_status_on_client = {.trailing_metadata = &trailing, .status = &code, .status_details = &details}},
    };
    if (run_batch(call, queue, ops, sizeof ops / sizeof ops[0]) && code == GRPC_STATUS_OK) {
        print_where_it_was_answered(&initial);
    }
    grpc_byte_buffer_destroy(sent);
    grpc_byte_buffer_destroy(received);
    grpc_slice_unref(details);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    return code;
}

static grpc_status_code call_with(const char *address, metadata *request)
{
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(address, plain, NULL);
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    grpc_call *call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                               grpc_slice_from_static_string(METHOD), NULL, deadline(), NULL);
    grpc_status_code code = exchange(call, queue, request);
    grpc_call_unref(call);
    queue_free(queue);
    grpc_channel_destroy(channel);
    grpc_channel_credentials_release(plain);
    return code;
}

/* ---- a client, and a server ---- */

/* docs/PROPAGATION.md, "gRPC metadata": a CLIENT span below this thread's current one, if there is one. */
static grpc_status_code call_traced(loom_tracer *tracer, const char *address, loom_str baggage, unsigned propagators)
{
    metadata request = {.count = 0};
    const loom_carrier to = {.set = set_metadata, .user = &request};
    loom_span *span = loom_span_start(tracer, "loom.Echo/Call", &(loom_span_options){.kind = LOOM_SPAN_CLIENT});
    const loom_propagation out = {.context = *loom_span_context(span),
                                  .tracestate = loom_span_tracestate(span),
                                  .baggage = baggage};
    (void)loom_propagation_inject(&to, &out, propagators);
    grpc_status_code code = call_with(address, &request);
    if (code != GRPC_STATUS_OK) {
        loom_span_record_error(span, "grpc", "the call failed");
    }
    loom_span_set_int(span, "rpc.grpc.status_code", code);
    loom_span_end(span);
    metadata_free(&request);
    return code;
}

static bool answer(grpc_call *call, grpc_completion_queue *queue, grpc_status_code code, metadata *response)
{
    grpc_byte_buffer *received = NULL, *sent = message();
    int cancelled = 0;
    const grpc_op take[] = {{.op = GRPC_OP_RECV_MESSAGE, .data.recv_message = {&received}}};
    const grpc_op ops[] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA, .data.send_initial_metadata = {.count = response->count, .metadata = response->items}},
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message = {sent}},
        {.op = GRPC_OP_SEND_STATUS_FROM_SERVER, .data.send_status_from_server = {.status = code}},
        {.op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server = {&cancelled}},
    };
    bool done = run_batch(call, queue, take, 1) && run_batch(call, queue, ops, sizeof ops / sizeof ops[0]);
    grpc_byte_buffer_destroy(received);
    grpc_byte_buffer_destroy(sent);
    return done && cancelled == 0;
}

static bool serve_call(loom_tracer *tracer, grpc_call *call, grpc_completion_queue *queue, grpc_metadata_array *request,
                       const char *next)
{
    const unsigned propagators = loom_propagators_from_env();
    const loom_carrier from = {.get = get_metadata, .user = request};
    metadata response = {.count = 0};
    const loom_carrier back = {.set = set_metadata, .user = &response};
    loom_propagation in;
    (void)loom_propagation_extract(&in, &from, propagators, NULL);
    const loom_span_options with = loom_propagation_span_options(&in, LOOM_SPAN_SERVER);
    loom_span *span = loom_span_start(tracer, "loom.Echo/Call", &with);
    loom_span_make_current(span);
    grpc_status_code code = next != NULL ? call_traced(tracer, next, in.baggage, propagators) : GRPC_STATUS_OK;
    (void)loom_propagation_echo(&back, loom_span_context(span));
    bool answered = answer(call, queue, code, &response);
    loom_span_end(span);
    loom_propagation_fini(&in);
    metadata_free(&response);
    return answered;
}

static bool serve_one(loom_tracer *tracer, grpc_server *server, grpc_completion_queue *queue, const char *next)
{
    grpc_call *call = NULL;
    grpc_call_details details;
    grpc_metadata_array request;
    grpc_call_details_init(&details);
    grpc_metadata_array_init(&request);
    bool answered = grpc_server_request_call(server, &call, &details, &request, queue, queue, NULL) == GRPC_CALL_OK &&
                    completed(queue) && serve_call(tracer, call, queue, &request, next);
    if (call != NULL) {
        grpc_call_unref(call);
    }
    grpc_call_details_destroy(&details);
    grpc_metadata_array_destroy(&request);
    return answered;
}

static int run_serve(loom_tracer *tracer, const char *next)
{
    grpc_server_credentials *plain = grpc_insecure_server_credentials_create();
    grpc_server *server = grpc_server_create(NULL, NULL);
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    grpc_server_register_completion_queue(server, queue, NULL);
    int port = grpc_server_add_http2_port(server, "127.0.0.1:0", plain);
    grpc_server_start(server);
    printf("127.0.0.1:%d\n", port);
    fflush(stdout);
    bool answered = port != 0 && serve_one(tracer, server, queue, next);
    grpc_server_shutdown_and_notify(server, queue, NULL);
    (void)completed(queue);
    grpc_server_destroy(server);
    queue_free(queue);
    grpc_server_credentials_release(plain);
    return answered ? 0 : 1;
}

int main(int argc, char *argv[])
{
    const char *verb = argc > 1 ? argv[1] : "", *address = argc > 2 ? argv[2] : NULL;
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    if (loom_span_processor_create(&processor, NULL) != LOOM_OK ||
        loom_tracer_provider_create(&provider, &(loom_tracer_provider_options){.default_service_name = "calling",
                                                                               .processor = processor}) != LOOM_OK) {
        return 1;
    }
    loom_tracer *tracer = loom_tracer_get(provider, "calling", NULL);
    int code = 2;
    grpc_init();
    if (strcmp(verb, "serve") == 0) {
        code = run_serve(tracer, address);
    } else if (strcmp(verb, "call") == 0 && address != NULL) {
        code = call_traced(tracer, address, (loom_str){"user=7", 6}, loom_propagators_from_env()) == GRPC_STATUS_OK ? 0 : 1;
    }
    grpc_shutdown();
    loom_tracer_provider_unref(provider);
    (void)loom_span_processor_shutdown(processor, 5000);
    loom_span_processor_unref(processor);
    return code;
}
