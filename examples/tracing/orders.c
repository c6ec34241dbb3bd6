/* SPDX-License-Identifier: Apache-2.0 */
/* A program that knows nothing of the bus, and traces what it does: an order is checked, and paid with a failure.
 * Where the spans go is the environment's business; see README.md. */
#include <loom/trace.h>
#include <stdio.h>
#include <stdlib.h>

static bool pay(loom_tracer *tracer, double total)
{
    loom_span *span = loom_span_start(tracer, "pay", &(loom_span_options){.kind = LOOM_SPAN_CLIENT});
    loom_span_set_double(span, "order.total", total);
    loom_span_record_error(span, "CardDeclined", "the card has expired");
    loom_span_end(span);
    return false;
}

static void handle_order(loom_tracer *tracer, int64_t id)
{
    loom_span *span = loom_span_start(tracer, "handle order", NULL);
    loom_span_make_current(span); /* what starts from here on is its child, until it ends */
    loom_span_set_int(span, "order.id", id);
    loom_span_add_event(span, "checked", NULL, 0);
    loom_span_set_bool(span, "order.paid", pay(tracer, 129.95));
    loom_span_end(span);
}

int main(void)
{
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    if (loom_span_processor_create(&processor, NULL) != LOOM_OK) { /* NULL: configured by the OTEL_… variables */
        fputs("orders: no processor\n", stderr);
        return EXIT_FAILURE;
    }
    loom_status st = loom_tracer_provider_create(
        &provider, &(loom_tracer_provider_options){.default_service_name = "orders", .processor = processor});
    if (st == LOOM_OK) {
        handle_order(loom_tracer_get(provider, "orders", "1.0"), 42);
        st = loom_span_processor_shutdown(processor, 5000); /* what has ended leaves, for five seconds at the most */
        loom_tracer_provider_unref(provider);
    }
    loom_span_processor_unref(processor);
    if (st != LOOM_OK) {
        fprintf(stderr, "orders: %s\n", loom_status_text(st));
    }
    return st == LOOM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
