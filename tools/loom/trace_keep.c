/* SPDX-License-Identifier: Apache-2.0 */
/* loom trace keep: asks the flight recorders of the bus for traces. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "envelope/id.h"
#include "tools/loom/control.h"
#include "tools/loom/event_json.h"
#include "tools/loom/trace_kinds.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

static const option_spec specs[] = {
    {.name = "reason", .kind = OPTION_VALUE, .value = "TEXT", .fallback = "asked; of a kind: kind", .group = "Which traces",
     .help = "What loom.kept of their spans says, up to 23 bytes"},
    {.name = "last-errors", .kind = OPTION_FLAG, .group = "Which traces",
     .help = "Those that failed of late and were too many to be kept at once"},
    {.name = "recent", .kind = OPTION_FLAG, .group = "Which traces",
     .help = "Keep nothing: list the traces that were kept of late, newest first, and why"},
    OPTIONS_KINDS,
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print one JSON object per line"},
    OPTIONS_CONTROL,
    OPTION_HELP,
};

static const command keep = {
    .manual = {.program = "loom trace keep",
               .synopsis = "[OPTION]… [TRACE_ID]…",
               .summary = "Asks the flight recorders of everything on the bus for traces that nobody sampled (LOOM_TRACE_RECORDER). "
                          "What they still have of them is exported, and what comes of them in the next ten seconds. Traces that "
                          "fail or are slow are kept without being asked for; --recent lists those. With --topic or --capability the "
                          "broker's recorder keeps traces of that kind for a while, so that those that went well can be compared "
                          "with those that did not.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom trace keep 4bf92f3577b34da6a3ce929d0e0e4736 --reason 'ticket 4711'\n"
                          "  loom trace keep --recent\n"
                          "  loom trace keep --last-errors\n"
                          "  loom trace keep --topic 'orders.>' --for 5m\n"
                          "  loom trace keep --kinds\n"},
    .operands_max = 64,
};

enum { REACH_SIZE = TEXT_DURATION_SIZE + 128 };

/* Nobody tells what agents have overwritten; how far back the broker's recorder reaches is the best guess that there is. */
static void put_reach(char out[REACH_SIZE], const json_t *answer)
{
    const json_int_t reach_ms = json_integer_value(json_object_get(answer, "reach_ms"));
    char took[TEXT_DURATION_SIZE];
    out[0] = '\0';
    if (reach_ms > 0) {
        text_duration(took, (uint64_t)reach_ms * 1000000);
        snprintf(out, REACH_SIZE, " (the broker has overwritten nothing of the last %s; agents may have overwritten what is older, too)", took);
    }
}

/* What of it is gone, as far as the broker can tell; one line each. */
static void print_gone(const char *trace_id, const json_t *answer)
{
    const json_t *spans = json_object_get(answer, "spans"), *left = json_object_get(answer, "left"),
                 *unrecorded = json_object_get(answer, "unrecorded"), *own = json_object_get(answer, "broker_spans"), *agent;
    const json_int_t bridges = json_integer_value(json_object_get(answer, "bridges_unrecorded"));
    char reach[REACH_SIZE];
    put_reach(reach, answer);
    const bool cut = json_is_true(json_object_get(answer, "cut")), none = json_integer_value(spans) == 0;
    size_t i;
    if (spans == NULL) {
        return; /* an earlier broker */
    }
    if (!json_is_true(json_object_get(answer, "recorder"))) {
        fprintf(stderr, "%s: asked for; the broker has no recorder (LOOM_TRACE_RECORDER), and cannot say what is left of it\n", trace_id);
    } else if (none && cut) {
        fprintf(stderr, "%s: what broker and bridges recorded of it has been overwritten%s; what agents still have is kept\n", trace_id, reach);
    } else if (none) {
        fprintf(stderr, "%s: broker and bridges have recorded nothing of it (what is sampled is sent anyway), or it is long overwritten%s; what agents still have is kept\n", trace_id, reach);
    } else if (json_is_integer(own) && json_integer_value(own) == 0) { /* every message leaves something there */
        fprintf(stderr, "%s: the broker has recorded nothing of it, since it was started anew, or has long overwritten it%s\n", trace_id, reach);
    } else if (cut) {
        fprintf(stderr, "%s: a part of what broker and bridges recorded of it has been overwritten%s\n", trace_id, reach);
    }
    json_array_foreach(left, i, agent) {
        fprintf(stderr, "%s: %s has left, and with it what it recorded%s\n", trace_id, json_string_value(agent),
                json_is_true(json_object_get(answer, "unsure")) ? ", unless a bridge that does not answer has taken it over" : "");
    }
    if (bridges > 0) {
        fprintf(stderr, "%s: %lld bridge%s ha%s no recorder (LOOM_TRACE_RECORDER), and what passed there has no span of it\n", trace_id,
                (long long)bridges, bridges == 1 ? "" : "s", bridges == 1 ? "s" : "ve");
    }
    json_array_foreach(unrecorded, i, agent) {
        fprintf(stderr, "%s: %s has no recorder (LOOM_TRACE_RECORDER), and its part is nowhere\n", trace_id, json_string_value(agent));
    }
}

static bool keep_one(const options *o, const char *trace_id, const char *reason, int *exit_code)
{
    const control_key keys[] = {{"trace_id", trace_id}, {"reason", reason}, {NULL, NULL}};
    json_t *answer = control_ask_socket(&keep, o, "keep", keys, exit_code);
    const bool fine = answer != NULL;
    if (fine && options_is_on(o, "json")) {
        (void)json_object_set_new(answer, "trace_id", json_string(trace_id));
        (void)json_object_del(answer, "status");
        json_print_tidy(json_incref(answer));
    } else if (fine) {
        print_gone(trace_id, answer);
    }
    json_decref(answer);
    return fine;
}

static void print_recent(const options *o, json_t *item)
{
    if (options_is_on(o, "json")) {
        json_print_tidy(json_incref(item));
        return;
    }
    const time_t at = (time_t)(json_integer_value(json_object_get(item, "unix_ns")) / 1000000000);
    struct tm tm;
    char when[16] = "";
    if (localtime_r(&at, &tm) != NULL) {
        (void)strftime(when, sizeof when, "%H:%M:%S", &tm);
    }
    printf("%-10s%-34s", when, json_string_value(json_object_get(item, "trace_id")));
    text_put_padded(stdout, str_of(json_string_value(json_object_get(item, "reason"))), 24); /* of whoever found it */
    puts(json_is_true(json_object_get(item, "limited")) ? "not kept: too many" : "");
}

/* What the broker's recorder has found or heard of late. NULL: exit_code says why. */
static json_t *ask_recent(const options *o, int *exit_code)
{
    const control_key keys[] = {{NULL, NULL}};
    return control_ask_socket(&keep, o, "kept", keys, exit_code);
}

static void list_recent(const options *o, int *exit_code)
{
    json_t *answer = ask_recent(o, exit_code), *item;
    const json_t *list = json_object_get(answer, "kept");
    size_t i;
    if (answer != NULL && json_array_size(list) == 0 && !options_is_on(o, "json")) {
        fprintf(stderr, "no trace was kept of late; the broker's recorder is on where its LOOM_TRACE_RECORDER says so\n");
    } else if (answer != NULL && !options_is_on(o, "json")) {
        printf("%-10s%-34s%-24s\n", "TIME", "TRACE", "WHY");
    }
    json_array_foreach(list, i, item) {
        print_recent(o, item);
    }
    json_decref(answer);
}

/* What the broker has heard of and did not keep is asked for by its id; what others found, only they know. */
static void keep_last_errors(const options *o, int *exit_code)
{
    json_t *answer = ask_recent(o, exit_code), *item;
    size_t i, kept = 0;
    const control_key none[] = {{NULL, NULL}};
    json_t *others = answer != NULL ? control_ask_socket(&keep, o, "keep_last", none, exit_code) : NULL;
    json_array_foreach(json_object_get(answer, "kept"), i, item) {
        if (json_is_true(json_object_get(item, "limited")) &&
            keep_one(o, json_string_value(json_object_get(item, "trace_id")), json_string_value(json_object_get(item, "reason")), exit_code)) {
            kept++;
        }
    }
    if (others != NULL) {
        printf("asked for %zu trace%s that the broker knows of, and every process for those that only it knows of\n", kept, kept == 1 ? "" : "s");
    }
    json_decref(others);
    json_decref(answer);
}

static int run(const options *o)
{
    int exit_code = VERB_OK;
    if (trace_kinds_meant(o)) {
        return o->operand_count > 0 || options_is_on(o, "last-errors") || options_is_on(o, "recent")
                   ? command_misuse(&keep, "traces that there are, and kinds of those to come, are different commands")
                   : command_finish(&keep, trace_kinds_run(&keep, o));
    }
    if (options_value(o, "for") != NULL || options_value(o, "per-second") != NULL) {
        return command_misuse(&keep, "--for and --per-second go with --topic or --capability");
    }
    const bool errors = options_is_on(o, "last-errors"), recent = options_is_on(o, "recent");
    if (errors + recent + (o->operand_count > 0) != 1) {
        return command_misuse(&keep, "give trace ids, or --last-errors, or --recent, or a kind: --topic, --capability");
    }
    for (size_t i = 0; i < o->operand_count; i++) {
        uint8_t id[LOOM_TRACE_ID_SIZE];
        if (trace_id_from_text(id, str_of(o->operands[i])) != LOOM_OK) {
            return command_misuse(&keep, "a trace id is 32 hex digits or a UUID, not \"%s\"", o->operands[i]);
        }
    }
    if (recent) {
        list_recent(o, &exit_code);
    } else if (errors) {
        keep_last_errors(o, &exit_code);
    }
    for (size_t i = 0; i < o->operand_count && keep_one(o, o->operands[i], options_value(o, "reason"), &exit_code); i++) {
    }
    return command_finish(&keep, exit_code);
}

int verb_trace_keep(int argc, char *const argv[])
{
    return command_run(&keep, argc, argv, run);
}
