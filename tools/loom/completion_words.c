/* SPDX-License-Identifier: Apache-2.0 */
/* The words of completion: from the tables that --help is made of, and from the bus, when a broker is there. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tools/loom/bus_names.h"
#include "tools/loom/completion.h"
#include "tools/loom/context.h"
#include "trace/view/text.h"

enum { WORDS_MAX = 256, WORD_SIZE = 1024, FIELDS = 6 };

/* What may stand in a place. */
typedef enum offered {
    OFFER_NOTHING,
    OFFER_AGENTS,
    OFFER_CAPABILITIES,
    OFFER_TOPICS,
    OFFER_CONTEXTS,
    OFFER_FILES,
    OFFER_FOLDERS,
    OFFER_COMMAND, /* a command and its arguments: from this operand on */
    OFFER_SHELLS
} offered;

/* Operands, by the verb. most: how many of them; what follows is a payload, or nothing. */
static const struct operand_kind {
    const char *verb;
    offered kind;
    size_t first, most;
} operand_kinds[] = {
    {"agents", OFFER_AGENTS, 0, 1},          {"caps", OFFER_CAPABILITIES, 0, 1},       {"check agent", OFFER_AGENTS, 0, 1},
    {"check capability", OFFER_CAPABILITIES, 0, 1}, {"check queue", OFFER_AGENTS, 0, 1}, {"check topic", OFFER_TOPICS, 0, 1},
    {"completion", OFFER_SHELLS, 0, 1},      {"context add", OFFER_CONTEXTS, 0, 1},    {"context rm", OFFER_CONTEXTS, 0, 1},
    {"context show", OFFER_CONTEXTS, 0, 1},  {"context use", OFFER_CONTEXTS, 0, 1},    {"exec", OFFER_COMMAND, 0, SIZE_MAX},
    {"flow", OFFER_TOPICS, 0, 1},            {"invoke", OFFER_CAPABILITIES, 0, 1},     {"kick", OFFER_AGENTS, 0, 1},
    {"ping", OFFER_AGENTS, 0, 1},            {"provide", OFFER_COMMAND, 1, SIZE_MAX},  {"pub", OFFER_TOPICS, 0, 1},
    {"reply", OFFER_TOPICS, 0, 1},           {"reply", OFFER_COMMAND, 1, SIZE_MAX},    {"request", OFFER_TOPICS, 0, 1},
    {"sub", OFFER_TOPICS, 0, SIZE_MAX},      {"topics", OFFER_TOPICS, 0, 1},           {"up", OFFER_FILES, 0, 1},
};

/* Values, by what the option is called, or by what help calls them. */
static const struct value_kind {
    const char *word;
    offered kind;
} value_kinds[] = {
    {"--agent", OFFER_AGENTS}, {"--capability", OFFER_CAPABILITIES}, {"--context", OFFER_CONTEXTS}, {"--topic", OFFER_TOPICS},
    {"DIR", OFFER_FOLDERS},    {"FILE", OFFER_FILES},                {"TOPIC", OFFER_TOPICS},
};

/* A line of verb_words(). */
typedef struct known_word {
    const char *name, *help;
    char letter;
    bool takes_next;
    const char *value, *choices;
} known_word;

/* A command line as far as it is typed. */
typedef struct typed {
    const command *command; /* that asks */
    const options *options;
    char *words[WORDS_MAX]; /* on the heap; --key=value is one */
    size_t count;
    const char *begun; /* of the last word: its value, if it is --key=VALUE */
    char *text;        /* of the verb's table */
    known_word known[WORDS_MAX];
    size_t known_count;
    bool is_table;     /* its words are verbs */
} typed;

/* ---- what is printed ---- */

static void offer(void *user, const char *word)
{
    const typed *t = user;
    if (strncmp(word, t->begun, strlen(t->begun)) == 0) {
        text_put(stdout, str_of(word), SIZE_MAX);
        putchar('\n');
    }
}

static void offer_choices(typed *t, const char *choices)
{
    char word[WORD_SIZE];
    for (size_t len; *choices != '\0'; choices += len + (choices[len] == '|')) {
        len = strcspn(choices, "|");
        snprintf(word, sizeof word, "%.*s", (int)len, choices);
        offer(t, word);
    }
}

static void offer_contexts(typed *t)
{
    char names[CONTEXTS_MAX][CONTEXT_NAME_SIZE];
    const size_t count = context_list(names);
    for (size_t i = 0; i < count; i++) {
        offer(t, names[i]);
    }
}

static void offer_kind(typed *t, offered kind)
{
    switch (kind) {
    case OFFER_AGENTS: bus_names_each(t->command, t->options, BUS_AGENTS, offer, t); break;
    case OFFER_CAPABILITIES: bus_names_each(t->command, t->options, BUS_CAPABILITIES, offer, t); break;
    case OFFER_TOPICS: bus_names_each(t->command, t->options, BUS_TOPICS, offer, t); break;
    case OFFER_CONTEXTS: offer_contexts(t); break;
    case OFFER_FILES: puts(":files"); break;
    case OFFER_FOLDERS: puts(":folders"); break;
    case OFFER_COMMAND: puts(":commands"); break;
    case OFFER_SHELLS: offer_choices(t, "bash|zsh|fish"); break;
    case OFFER_NOTHING: break;
    }
}

/* Verbs, or options. */
static void offer_known(const typed *t)
{
    for (size_t i = 0; i < t->known_count; i++) {
        if (strncmp(t->known[i].name, t->begun, strlen(t->begun)) == 0) {
            printf("%s\t%s\n", t->known[i].name, t->known[i].help);
        }
    }
}

/* ---- what is typed ---- */

/* bash has --key=value as three words, the last of which may still lack. */
static bool copy_words(typed *t, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count && t->count < WORDS_MAX; i++) {
        char *before = t->count > 0 ? t->words[t->count - 1] : NULL;
        const bool joins = before != NULL && strncmp(before, "--", 2) == 0 && strchr(before, '=') == NULL &&
                           strcmp(words[i], "=") == 0;
        char joined[WORD_SIZE];
        if (joins) {
            snprintf(joined, sizeof joined, "%s=%s", before, i + 1 < count ? words[i + 1] : "");
            i++;
            free(before);
            t->count--;
        }
        t->words[t->count] = strdup(joins ? joined : words[i]);
        if (t->words[t->count++] == NULL) {
            return false;
        }
    }
    return true;
}

/* The words that the verb knows, of which the last is not whole. */
static void read_known(typed *t, char *const path[], size_t depth)
{
    free(t->text);
    t->known_count = 0;
    t->is_table = true;
    t->text = verb_words((int)depth, path);
    char *save = NULL;
    for (char *line = strtok_r(t->text, "\n", &save); line != NULL && t->known_count < WORDS_MAX;
         line = strtok_r(NULL, "\n", &save)) {
        char *fields[FIELDS] = {line, "", "", "", "", ""};
        for (size_t i = 1; i < FIELDS && (line = strchr(line, '\t')) != NULL; i++) {
            *line++ = '\0';
            fields[i] = line;
        }
        t->is_table = t->is_table && fields[3][0] == '\0';
        t->known[t->known_count++] = (known_word){.name = fields[0], .help = fields[1], .letter = fields[2][0],
                                                  .takes_next = strcmp(fields[3], "next") == 0, .value = fields[4], .choices = fields[5]};
    }
}

/* The option that this word names: by --key, --key=, or by its letter, which may be the last of several. */
static const known_word *find_option(const typed *t, const char *word)
{
    const size_t len = strcspn(word, "=");
    for (size_t i = 0; i < t->known_count; i++) {
        const known_word *k = &t->known[i];
        const bool is_letter = word[0] == '-' && word[1] != '-' && word[1] != '\0' && k->letter == word[strlen(word) - 1] &&
                               k->letter != '-';
        if (is_letter || (strncmp(k->name, word, len) == 0 && k->name[len] == '\0')) {
            return k;
        }
    }
    return NULL;
}

static void offer_value(typed *t, const known_word *option)
{
    for (size_t i = 0; i < sizeof value_kinds / sizeof value_kinds[0]; i++) {
        if (strcmp(value_kinds[i].word, option->name) == 0 || strcmp(value_kinds[i].word, option->value) == 0) {
            offer_kind(t, value_kinds[i].kind);
            return;
        }
    }
    offer_choices(t, option->choices);
}

static void offer_operand(typed *t, char *const path[], size_t before)
{
    char both[WORD_SIZE];
    snprintf(both, sizeof both, "%s %s", path[1], path[2] != NULL ? path[2] : "");
    for (size_t i = 0; i < sizeof operand_kinds / sizeof operand_kinds[0]; i++) {
        const struct operand_kind *k = &operand_kinds[i];
        if ((strcmp(k->verb, path[1]) == 0 || strcmp(k->verb, both) == 0) && before >= k->first && before - k->first < k->most) {
            offer_kind(t, k->kind == OFFER_COMMAND && before > k->first ? OFFER_FILES : k->kind);
            return;
        }
    }
    if (t->begun[0] == '\0') {
        offer_known(t);
    }
}

/* The broker that the line leads to, as the verb would find it. */
static void choose_broker(const char *named, const char *url, const char *control)
{
    (void)context_apply(named);
    if (url != NULL) {
        (void)setenv("LOOM_URL", url, true);
        (void)unsetenv("LOOM_CONTROL");
    }
    if (control != NULL) {
        (void)setenv("LOOM_CONTROL", control, true);
    }
}

/* Behind the verb: words[at] is the first. */
static void offer_of_verb(typed *t, char *const path[], size_t at, const char *named)
{
    const known_word *open = NULL; /* the option that the next word is the value of */
    const char *url = NULL, *control = NULL, *last = t->words[t->count - 1];
    size_t operands = 0;
    const bool runs = strcmp(path[1], "exec") == 0; /* what stands behind its first operand is the command's */
    bool separated = false;
    for (; at + 1 < t->count; at++) {
        const char *word = t->words[at];
        const bool operand = separated || open != NULL || word[0] != '-' || (runs && operands > 0);
        const known_word *option = operand ? NULL : find_option(t, word);
        const char *equals = option != NULL && word[1] == '-' ? strchr(word, '=') : NULL;
        const char *value = open != NULL ? word : equals != NULL ? equals + 1 : NULL;
        const known_word *of = open != NULL ? open : option;
        if (value != NULL && of != NULL) {
            url = strcmp(of->name, "--url") == 0 ? value : url;
            control = strcmp(of->name, "--control") == 0 ? value : control;
        } else if (!separated && strcmp(word, "--") == 0) {
            separated = true;
        } else if (separated || word[0] != '-' || word[1] == '\0') {
            operands++;
        }
        open = open == NULL && value == NULL && option != NULL && option->takes_next ? option : NULL;
    }
    choose_broker(named, url, control);
    const known_word *joined = !separated && strncmp(last, "--", 2) == 0 && strchr(last, '=') != NULL ? find_option(t, last) : NULL;
    if (open != NULL || joined != NULL) {
        t->begun = open != NULL ? last : strchr(last, '=') + 1;
        offer_value(t, open != NULL ? open : joined);
    } else if (last[0] == '-' && !separated && !(runs && operands > 0)) {
        offer_known(t);
    } else {
        offer_operand(t, path, operands);
    }
}

static void offer_all(typed *t)
{
    char *path[3] = {(char *)(uintptr_t)"loom", NULL, NULL};
    const char *named = NULL;
    size_t at = 0, depth = 1;
    if (t->count > 2 && strcmp(t->words[0], "--context") == 0) {
        named = t->words[1];
        at = 2;
    } else if (t->count > 1 && strncmp(t->words[0], "--context=", 10) == 0) {
        named = t->words[0] + 10;
        at = 1;
    } else if (t->count == 2 && strcmp(t->words[0], "--context") == 0) {
        offer_contexts(t);
        return;
    } else if (t->count == 1 && strncmp(t->words[0], "--context=", 10) == 0) {
        t->begun += 10;
        offer_contexts(t);
        return;
    }
    at += at + 1 < t->count && strcmp(t->words[at], "help") == 0;
    read_known(t, path, depth);
    while (t->is_table && depth < 3 && at + 1 < t->count && t->words[at][0] != '-') {
        path[depth++] = t->words[at++];
        read_known(t, path, depth);
    }
    if (t->is_table) { /* also where there is no such verb */
        offer_known(t);
    } else {
        offer_of_verb(t, path, at, named);
    }
}

void completion_offer(const command *c, const options *o, const char *const *words, size_t count)
{
    static const char *const empty[] = {""};
    typed t = {.command = c, .options = o};
    if (copy_words(&t, count > 0 ? words : empty, count > 0 ? count : 1)) {
        t.begun = t.words[t.count - 1];
        offer_all(&t);
    }
    for (size_t i = 0; i < t.count; i++) {
        free(t.words[i]);
    }
    free(t.text);
}
