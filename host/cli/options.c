/* SPDX-License-Identifier: Apache-2.0 */
#include "host/cli/options.h"

#include "base/str.h"
#include "host/config/units.h"
#include "base/suggest.h"

#include <stdlib.h>
#include <string.h>

/* A command line on its way through. */
typedef struct parsing {
    options *out;
    char *const *argv;
    size_t argc, at; /* at: of the argument being read */
    problems *list;
    loom_status status;
} parsing;

static size_t find_long(const options *o, loom_str name)
{
    for (size_t i = 0; i < o->spec_count; i++) {
        if (str_is(name, o->specs[i].name)) {
            return i;
        }
    }
    return o->spec_count;
}

static size_t find_letter(const options *o, char letter)
{
    size_t i = 0;
    while (i < o->spec_count && (o->specs[i].letter != letter || letter == '\0')) {
        i++;
    }
    return i;
}

static void use(parsing *p, size_t spec, const char *value)
{
    p->out->uses[p->out->use_count++] = (option_use){spec, value};
}

static const char *nearest(const options *o, loom_str name, bool switches_alone)
{
    suggestion near;
    suggestion_init(&near, name);
    for (size_t i = 0; i < o->spec_count; i++) {
        if (!switches_alone || o->specs[i].kind == OPTION_SWITCH) {
            suggestion_consider(&near, o->specs[i].name);
        }
    }
    return suggestion_result(&near);
}

/* What others call one of ours: nats, mosquitto, kcat, redis-cli. */
static const char *known_elsewhere(const options *o, loom_str name)
{
    static const struct {
        const char *theirs, *ours;
    } names[] = {
        {"broker", "url"}, {"brokers", "url"}, {"host", "url"}, {"messages", "count"}, {"msgs", "count"}, {"queue", "group"}, {"server", "url"}, {"servers", "url"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_is(name, names[i].theirs) && find_long(o, str_of(names[i].ours)) < o->spec_count) {
            return names[i].ours;
        }
    }
    return NULL;
}

/* What a bus that stores messages has. */
static bool asks_for_stored(loom_str name)
{
    static const char *const names[] = {"all",  "beginning", "deliver", "durable", "from-beginning", "last",
                                        "new",  "offset",    "retain",  "since",   "start-sequence", "stream"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_is(name, names[i])) {
            return true;
        }
    }
    return false;
}

static const char *known_letter(const options *o, char letter)
{
    static const struct {
        char theirs;
        const char *ours;
    } letters[] = {{'b', "url"}, {'c', "count"}, {'C', "count"}, {'s', "url"}, {'w', "timeout"}, {'W', "timeout"}};
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].theirs == letter && find_long(o, str_of(letters[i].ours)) < o->spec_count) {
            return letters[i].ours;
        }
    }
    return NULL;
}

static void unknown(parsing *p, loom_str name)
{
    const char *no = "", *guess = known_elsewhere(p->out, name);
    guess = guess != NULL ? guess : nearest(p->out, name, false);
    if (guess == NULL && name.len > 3 && strncmp(name.data, "no-", 3) == 0) {
        no = "no-";
        guess = nearest(p->out, (loom_str){name.data + 3, name.len - 3}, true);
    }
    int shown = name.len > 64 ? 64 : (int)name.len;
    const bool is_sub_or_pub = find_long(p->out, str_of("qos")) < p->out->spec_count || find_long(p->out, str_of("reply-to")) < p->out->spec_count;
    if (is_sub_or_pub && asks_for_stored(name)) {
        problems_add(p->list, PROBLEM_ERROR,
                     "unknown option \"--%.*s\": messages are not stored, and go to who is subscribed when they come", shown, name.data);
        p->status = LOOM_EINVAL;
        return;
    }
    problems_add(p->list, PROBLEM_ERROR, "unknown option \"--%.*s\"%s%s%s%s", shown, name.data,
                 guess != NULL ? "; did you mean \"--" : "", guess != NULL ? no : "", guess != NULL ? guess : "", guess != NULL ? "\"?" : "");
    p->status = LOOM_EINVAL;
}

/* The next argument is the value, even when it begins with a dash: "-1" and "-" are values too. But a known option
 * there means that the value was forgotten. */
static void use_next(parsing *p, size_t spec)
{
    const option_spec *s = &p->out->specs[spec];
    const char *next = p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL;
    if (s->bare != NULL) {
        use(p, spec, s->bare);
        return;
    }
    bool forgotten = next == NULL;
    if (next != NULL && strncmp(next, "--", 2) == 0) {
        size_t length = strcspn(next + 2, "=");
        forgotten = next[2] == '\0' || find_long(p->out, (loom_str){next + 2, length}) < p->out->spec_count;
    }
    if (forgotten) {
        problems_add(p->list, PROBLEM_ERROR, "--%s needs a value: --%s %s", s->name, s->name, s->value);
        p->status = LOOM_EINVAL;
        return;
    }
    p->at++;
    use(p, spec, next);
}

static void use_switch(parsing *p, size_t spec, const char *value)
{
    bool on;
    if (config_parse_bool(&on, str_of(value))) {
        use(p, spec, on ? "true" : "false");
        return;
    }
    problems_add(p->list, PROBLEM_ERROR, "--%s is true or false, not \"%.64s\"", p->out->specs[spec].name, value);
    p->status = LOOM_EINVAL;
}

static void read_long(parsing *p, const char *text)
{
    size_t length = strcspn(text, "=");
    const char *value = text[length] == '=' ? text + length + 1 : NULL;
    size_t spec = find_long(p->out, (loom_str){text, length});
    if (spec == p->out->spec_count && value == NULL && strncmp(text, "no-", 3) == 0) {
        spec = find_long(p->out, (loom_str){text + 3, length - 3});
        if (spec < p->out->spec_count && p->out->specs[spec].kind == OPTION_SWITCH) {
            use(p, spec, "false");
            return;
        }
        spec = p->out->spec_count;
    }
    if (spec == p->out->spec_count) {
        unknown(p, (loom_str){text, length});
        return;
    }
    option_kind kind = p->out->specs[spec].kind;
    if (kind == OPTION_FLAG && value != NULL) {
        problems_add(p->list, PROBLEM_ERROR, "--%s takes no value", p->out->specs[spec].name);
        p->status = LOOM_EINVAL;
    } else if (kind == OPTION_SWITCH && value != NULL) {
        use_switch(p, spec, value);
    } else if (kind != OPTION_VALUE) {
        use(p, spec, "true");
    } else if (value != NULL) {
        use(p, spec, value);
    } else {
        use_next(p, spec);
    }
}

/* Letters of one argument: flags, of which the last may take a value. */
static void read_letters(parsing *p, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        size_t spec = find_letter(p->out, *letters);
        if (spec == p->out->spec_count) {
            const char *guess = known_letter(p->out, *letters);
            problems_add(p->list, PROBLEM_ERROR, "unknown option \"-%c\"%s%s%s", *letters,
                         guess != NULL ? "; did you mean \"--" : "", guess != NULL ? guess : "", guess != NULL ? "\"?" : "");
            p->status = LOOM_EINVAL;
            return;
        }
        if (p->out->specs[spec].kind != OPTION_VALUE) {
            use(p, spec, "true");
            continue;
        }
        if (letters[1] != '\0') {
            use(p, spec, letters + 1);
        } else {
            use_next(p, spec);
        }
        return;
    }
}

/* How many options argv can hold at most: every argument one, or a cluster of letters. */
static size_t count_uses(size_t argc, char *const argv[])
{
    size_t count = 1;
    for (size_t i = 1; i < argc; i++) {
        bool letters = argv[i][0] == '-' && argv[i][1] != '-';
        count += letters ? strlen(argv[i]) : 1;
    }
    return count;
}

loom_status options_parse(options *out, const option_spec *specs, size_t spec_count, int argc, char *const argv[],
                          bool stop_at_operand, problems *list)
{
    size_t arguments = argc > 0 ? (size_t)argc : 0;
    *out = (options){.specs = specs, .spec_count = spec_count};
    out->uses = calloc(count_uses(arguments, argv), sizeof *out->uses);
    out->operands = calloc(arguments + 1, sizeof *out->operands);
    if (out->uses == NULL || out->operands == NULL) {
        options_fini(out);
        return LOOM_ENOMEM;
    }
    parsing p = {.out = out, .argv = argv, .argc = arguments, .list = list};
    bool only_operands = false;
    for (p.at = 1; p.at < arguments; p.at++) {
        const char *text = argv[p.at];
        if (only_operands || text[0] != '-' || text[1] == '\0') {
            out->operands[out->operand_count++] = text;
            only_operands = only_operands || stop_at_operand;
        } else if (strcmp(text, "--") == 0) {
            only_operands = true;
        } else if (text[1] == '-') {
            read_long(&p, text + 2);
        } else {
            read_letters(&p, text + 1);
        }
    }
    return p.status;
}

void options_fini(options *o)
{
    free(o->uses);
    free(o->operands);
    *o = (options){0};
}

bool options_has(const options *o, const char *name)
{
    return options_value(o, name) != NULL;
}

const char *options_value(const options *o, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < o->use_count; i++) {
        if (strcmp(o->specs[o->uses[i].spec].name, name) == 0) {
            value = o->uses[i].value;
        }
    }
    return value;
}

size_t options_values(const options *o, const char *name, loom_str *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < o->use_count; i++) {
        if (strcmp(o->specs[o->uses[i].spec].name, name) == 0) {
            if (count < max) {
                out[count] = str_of(o->uses[i].value);
            }
            count++;
        }
    }
    return count;
}

bool options_is_on(const options *o, const char *name)
{
    const char *value = options_value(o, name);
    return value != NULL && strcmp(value, "true") == 0;
}
