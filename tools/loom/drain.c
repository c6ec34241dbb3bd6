/* SPDX-License-Identifier: Apache-2.0 */
/* loom drain: lame duck. The broker takes no new agents and asks those it has to leave; this waits until they have. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/str.h"
#include "tools/loom/control.h"
#include "tools/loom/event_json.h"
#include "tools/loom/interrupt.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

#define LOOK_EVERY_NS 200000000u
#define NS_PER_MS 1000000u

static const option_spec specs[] = {
    {.name = "within", .kind = OPTION_VALUE, .value = "TIME", .fallback = "30s", .group = "How", .help = "How long agents may take to leave; calls that are under way are finished within it. 0s: begin, and do not wait"},
    {.name = "cancel", .kind = OPTION_FLAG, .group = "How", .help = "Take agents on again"},
    {.name = "json", .kind = OPTION_FLAG, .group = "Output", .help = "Print the outcome as one JSON object"},
    {.name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .group = "Output", .help = "Print nothing but failures"},
    OPTIONS_CONTROL,
    OPTION_HELP,
};

static const command drain = {
    .manual = {.program = "loom drain",
               .synopsis = "[OPTION]…",
               .summary = "Empties a broker before it is stopped. From now on it takes no new agents, /readyz answers 503, and the "
                          "agents it has, through whichever bridges, are asked to connect elsewhere: those whose URL names several "
                          "addresses (LOOM_URL=ipc:///a.sock,tcp://b:7700) finish their calls and go to the next one. Those that "
                          "have no other address stay, and are served until the broker ends. Waits until all have left; exit code 4 "
                          "when some have not. Only the control socket takes this.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom drain && systemctl stop loom-broker\n"
                          "  loom drain --within 5m --json\n"
                          "  loom drain --cancel                   it was a mistake\n"},
};

typedef struct drained {
    const options *options;
    uint64_t began_ns, within_ns;
    uint32_t at_first, left, away; /* away: of those left, with a bridge that has lost its connection */
    bool shows; /* progress, on a terminal */
    bool draining;
    json_t *some; /* ids of those who are left */
    interrupt stop;
} drained;

/* how: NULL only looks. */
static bool ask(drained *d, const char *how, int *exit_code)
{
    char ms[24];
    snprintf(ms, sizeof ms, "%" PRIu64, d->within_ns / NS_PER_MS);
    const control_key keys[] = {{"how", how}, {"deadline_ms", how != NULL && d->within_ns > 0 ? ms : NULL}, {NULL, NULL}};
    json_t *answer = control_ask_socket(&drain, d->options, "drain", keys, exit_code);
    d->left = (uint32_t)json_integer_value(json_object_get(answer, "agents"));
    d->away = (uint32_t)json_integer_value(json_object_get(answer, "away"));
    d->draining = json_is_true(json_object_get(answer, "draining"));
    json_decref(d->some);
    d->some = json_incref(json_object_get(answer, "some"));
    json_decref(answer);
    return answer != NULL;
}

static void show(const drained *d, bool over)
{
    if (d->shows) {
        fprintf(stderr, "\r%" PRIu32 " of %" PRIu32 " agents left the broker, %" PRIu32 " to go\033[K%s", d->at_first - d->left, d->at_first,
                d->left, over ? "\n" : "");
    }
}

/* Until all have left, it is time, or somebody has lost patience. */
static int watch(drained *d)
{
    int exit_code = VERB_OK;
    const uint64_t until = d->began_ns + d->within_ns;
    interrupt_begin(&d->stop);
    d->stop.output = -1;
    while (exit_code == VERB_OK && d->left > 0 && d->draining && clock_monotonic_ns() < until) {
        const uint64_t next = clock_monotonic_ns() + LOOK_EVERY_NS;
        show(d, false);
        if (interrupt_wait(&d->stop, -1, next < until ? next : until) == INTERRUPT_SIGNAL) {
            exit_code = VERB_INTERRUPTED;
        } else if (ask(d, NULL, &exit_code)) {
            d->at_first = d->left > d->at_first ? d->left : d->at_first;
        }
    }
    show(d, true);
    interrupt_end(&d->stop);
    return exit_code != VERB_OK || (d->left == 0 && d->draining) ? exit_code : VERB_TIMEOUT;
}

static void tell_names(const json_t *names)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name) {
        printf("%s%s", i == 0 ? ": " : ", ", json_string_value(name));
    }
}

static void tell_stayed(const drained *d)
{
    if (d->away < d->left) {
        fputs("; these stayed", stdout);
        tell_names(d->some);
        fputs(". They know no other address, or are busy; they are served until the broker ends", stdout);
    }
    if (d->away > 0) {
        printf("; %" PRIu32 " %s with a bridge that is away, and may be back", d->away, d->away == 1 ? "is" : "are");
    }
    putchar('\n');
}

static void tell(const drained *d)
{
    char took[TEXT_DURATION_SIZE];
    if (options_is_on(d->options, "quiet")) {
        return;
    }
    text_duration(took, clock_monotonic_ns() - d->began_ns);
    if (options_is_on(d->options, "json")) {
        json_print_line(json_pack("{s:b, s:i, s:i, s:i, s:O}", "draining", d->draining, "agents_at_first", (int)d->at_first,
                                  "agents_left", (int)d->left, "agents_away", (int)d->away, "stayed", d->some));
    } else if (!d->draining) {
        puts("the broker takes agents on");
    } else if (d->at_first == 0) {
        puts("there are no agents; the broker can be stopped");
    } else if (d->left == 0) {
        printf("all agents have left, %" PRIu32 " in %s; the broker can be stopped\n", d->at_first, took);
    } else {
        printf("%" PRIu32 " of %" PRIu32 " agents have left after %s", d->at_first - d->left, d->at_first, took);
        tell_stayed(d);
    }
}

int verb_drain(int argc, char *const argv[])
{
    options o;
    int exit_code = VERB_OK;
    if (!command_start(&drain, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    const char *within = options_value(&o, "within");
    drained d = {.options = &o, .began_ns = clock_monotonic_ns(), .within_ns = 30000ull * NS_PER_MS};
    d.shows = isatty(STDERR_FILENO) && !options_is_on(&o, "quiet") && !options_is_on(&o, "json");
    const bool cancel = options_is_on(&o, "cancel");
    if (within != NULL && (!duration_parse(&d.within_ns, str_of(within)) || d.within_ns / NS_PER_MS > 3600 * 1000)) {
        exit_code = command_misuse(&drain, "--within must be a duration up to 1h, such as 30s or 5m, not \"%s\"", within);
    } else if (ask(&d, cancel ? "end" : "begin", &exit_code)) {
        d.at_first = d.left;
        exit_code = cancel || d.within_ns == 0 ? VERB_OK : watch(&d);
        if (exit_code == VERB_OK || exit_code == VERB_TIMEOUT) {
            tell(&d);
        }
    }
    json_decref(d.some);
    options_fini(&o);
    return command_finish(&drain, exit_code);
}
