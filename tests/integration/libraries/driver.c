/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios of cases.json that libloom has: driver SCENARIO, with OTEL_TRACES_EXPORTER=loom/stderr. */
#include <loom/propagation.h>
#include <loom/span.h>
#include <loom/trace.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 10000, SHUTDOWN_MS = 5000 };

typedef struct program {
    loom_span_processor *processor;
    loom_tracer_provider *provider;
    loom_tracer *tracer;
    loom_propagation told;
    loom_span *never_ends; /* before it is too late */
    int code;
} program;

static loom_span *start(const program *p, const char *name, loom_span *parent)
{
    return loom_span_start(p->tracer, name, &(loom_span_options){.parent = parent != NULL ? loom_span_context(parent) : &p->told.context,
                                                                 .parent_is_remote = parent == NULL});
}

static void end(loom_span *span)
{
    loom_span_set_status(span, LOOM_SPAN_OK, NULL);
    loom_span_end(span);
}

static void nested(program *p)
{
    loom_span *outer = start(p, "outer", NULL);
    loom_span_set_int(outer, "a", 1);
    loom_span *middle = start(p, "middle", outer), *inner = start(p, "inner", middle);
    loom_span_set_bool(inner, "deep", true);
    end(inner);
    end(middle);
    end(start(p, "sibling", outer));
    end(outer);
}

static void manual(program *p)
{
    loom_span *span = start(p, "process_data", NULL);
    loom_span_set_int(span, "input_size", 3);
    end(start(p, "inside", span));
    end(span);
    loom_span *failed = start(p, "failed", NULL);
    loom_span_set_status(failed, LOOM_SPAN_ERROR, NULL);
    loom_span_end(failed);
    loom_span_end(start(p, "open", NULL));
}

static void exception(program *p)
{
    loom_span *outer = start(p, "outer", NULL), *inner = start(p, "inner", outer);
    loom_span_record_error(inner, "ValueError", "boom");
    loom_span_end(inner);
    loom_span_record_error(outer, "ValueError", "boom");
    loom_span_end(outer);
    puts("caught boom");
    end(start(p, "after", NULL));
}

static void values(program *p)
{
    static const char *const list[] = {"a", "b"};
    static const int64_t numbers[] = {1, 2, 3};
    loom_span *span = start(p, "values", NULL);
    loom_span_set_string(span, "text", "plain");
    loom_span_set_string(span, "empty", "");
    loom_span_set_int(span, "largest", INT64_MAX);
    loom_span_set_int(span, "smallest", INT64_MIN);
    loom_span_set_bool(span, "yes", true);
    loom_span_set_bool(span, "no", false);
    loom_span_set_double(span, "half", 1.5);
    loom_span_set_string(span, "unicode", "h\xc3\xa9llo \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x98\x80");
    loom_span_set_string(span, "escapes", "a\"b\\c\n\t\x01\x7f");
    loom_span_set_string(span, "with.dots", "x");
    loom_span_set_strings(span, "list", list, 2);
    loom_span_set_ints(span, "numbers", numbers, 3);
    end(span);
}

static void own_tenant(program *p)
{
    loom_span *own = start(p, "own", NULL);
    loom_span_set_string(own, "tenant_id", "mine");
    end(own);
    end(start(p, "theirs", NULL));
}

static void events(program *p)
{
    const loom_attr key = {.key = "key", .type = LOOM_ATTR_STRING, .value.string = {"k", 1}};
    loom_span *span = start(p, "work", NULL);
    loom_span_set_int(span, "n", 1);
    loom_span_add_event(span, "cache miss", &key, 1);
    loom_span_add_event(span, "bare", NULL, 0);
    end(span);
}

static void status(program *p)
{
    loom_span *span = start(p, "refused", NULL);
    loom_span_set_status(span, LOOM_SPAN_ERROR, "no such user");
    loom_span_end(span);
}

static void *work(void *user)
{
    loom_span_make_current(user);
    end(user);
    return NULL;
}

static void thread(program *p)
{
    pthread_t worker;
    loom_span *outer = start(p, "outer", NULL), *inner = start(p, "in thread", outer);
    loom_span_detach(inner);
    if (pthread_create(&worker, NULL, work, inner) != 0 || pthread_join(worker, NULL) != 0) {
        p->code = 1;
    }
    end(outer);
}

static void many(program *p)
{
    loom_span *root = start(p, "root", NULL);
    for (int i = 0; i < MANY; i++) {
        loom_span *step = start(p, "step", root);
        loom_span_set_int(step, "i", i);
        end(step);
    }
    end(root);
}

/* Attributes and events that no line holds. */
static void too_long(program *p)
{
    char *text = malloc(20001);
    if (text == NULL) {
        abort();
    }
    memset(text, 'x', 20000);
    text[20000] = '\0';
    loom_span *span = start(p, "long", NULL);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        loom_span_set_string(span, key, text);
        loom_span_add_event(span, text, NULL, 0);
    }
    end(span);
    end(start(p, text, NULL));
    free(text);
}

static void exits(program *p)
{
    p->never_ends = start(p, "never ends", NULL);
    for (int i = 0; i < 3; i++) {
        loom_span *span = start(p, "ended", NULL);
        loom_span_set_int(span, "i", i);
        end(span);
    }
    p->code = 3;
}

static void twice(program *p)
{
    loom_span *span = start(p, "once", NULL);
    end(span);
}

static const struct {
    const char *name;
    void (*run)(program *p);
} scenarios[] = {{"nested", nested}, {"manual", manual}, {"exception", exception}, {"values", values}, {"own_tenant", own_tenant},
                 {"events", events}, {"status", status}, {"thread", thread},       {"many", many},     {"long", too_long},
                 {"exits", exits},   {"twice", twice}};

static bool open_program(program *p)
{
    return loom_propagation_from_environment(&p->told, NULL, loom_propagators_from_env(), NULL) == LOOM_OK &&
           loom_span_processor_create(&p->processor, NULL) == LOOM_OK &&
           loom_tracer_provider_create(&p->provider, &(loom_tracer_provider_options){.processor = p->processor}) == LOOM_OK;
}

int main(int argc, char **argv)
{
    program p = {.code = 2};
    if (argc != 2 || !open_program(&p)) {
        return 2;
    }
    p.tracer = loom_tracer_get(p.provider, "driver", NULL);
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (strcmp(argv[1], scenarios[i].name) == 0) {
            p.code = 0;
            scenarios[i].run(&p);
        }
    }
    (void)loom_span_processor_shutdown(p.processor, SHUTDOWN_MS);
    loom_span_end(p.never_ends);
    loom_tracer_provider_unref(p.provider);
    loom_span_processor_unref(p.processor);
    loom_propagation_fini(&p.told);
    return p.code;
}
