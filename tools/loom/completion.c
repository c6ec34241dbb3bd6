/* SPDX-License-Identifier: Apache-2.0 */
/* loom completion: what the shell offers for a command line of `loom` that is being typed. The shell's part is a few lines; all
 * words come from the tables that --help is made of, and from the bus, when a broker is there. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tools/loom/control.h"
#include "tools/loom/context.h"
#include "tools/loom/verbs.h"
#include "trace/view/text.h"

static const option_spec specs[] = {OPTIONS_BUS, OPTIONS_CONTROL, OPTION_HELP};

static const command completion = {
    .manual = {.program = "loom completion",
               .synopsis = "bash|zsh|fish\n       loom completion words [--] WORD…",
               .summary = "Prints what makes a shell complete verbs, options, and the topics, agents and capabilities that are on the "
                          "bus now. The second form is what it calls: it prints what the last word may become, a line each, with a "
                          "tab and a description.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  source <(loom completion bash)               in ~/.bashrc\n"
                          "  loom completion zsh >~/.zfunc/_loom          a folder of fpath\n"
                          "  loom completion fish >~/.config/fish/completions/loom.fish\n"},
    .operands_max = 256,
    .stops_at_operand = true,
};

static const char bash_script[] =
    "_loom() {\n"
    "    local line words=()\n"
    "    while IFS= read -r line; do words+=(\"${line%%$'\\t'*}\"); done < <(loom completion words -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    COMPREPLY=(\"${words[@]}\")\n"
    "}\n"
    "complete -o default -F _loom loom\n";

/* Also a file of fpath, which zsh takes for the function's body. */
static const char zsh_script[] =
    "#compdef loom\n"
    "_loom() {\n"
    "    local -a found\n"
    "    local line\n"
    "    while IFS= read -r line; do found+=(\"${${line//:/\\\\:}/$'\\t'/:}\"); done < <(loom completion words -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    _describe loom found || _files\n"
    "}\n"
    "if [[ $funcstack[1] = _loom ]]; then _loom \"$@\"; else compdef _loom loom; fi\n";

static const char fish_script[] =
    "complete -c loom -a '(loom completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'\n";

/* What stands behind a verb, when it is on the bus; NULL op: nothing is known of it. */
static const struct live_word {
    const char *verb, *op, *key;
} live_words[] = {
    {"agents", "agents", "agent"},    {"caps", "capabilities", "name"}, {"flow", "topics", "topic"}, {"invoke", "capabilities", "name"},
    {"kick", "agents", "agent"},      {"ping", "agents", "agent"},      {"pub", "topics", "topic"},  {"reply", "topics", "topic"},
    {"request", "topics", "topic"},   {"sub", "topics", "topic"},       {"topics", "topics", "topic"},
    {"check agent", "agents", "agent"}, {"check capability", "capabilities", "name"}, {"check queue", "agents", "agent"}, {"check topic", "topics", "topic"},
};

static void offer_live(const options *o, const struct live_word *live, const char *begun)
{
    control_asker a;
    char why[CONTROL_WHY_SIZE];
    int exit_code;
    const bool paged = strcmp(live->op, "topics") != 0;
    json_t *answer = NULL;
    if (control_asker_open(&a, &completion, o, why, sizeof why, &exit_code)) {
        answer = control_asker_ask(&a, live->op, paged ? live->key : NULL, NULL, why, sizeof why, &exit_code);
        control_asker_close(&a);
    }
    const json_t *items = paged ? answer : json_object_get(answer, live->op);
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item) {
        const char *name = json_string_value(json_object_get(item, live->key));
        if (name != NULL && strncmp(name, begun, strlen(begun)) == 0) {
            text_put(stdout, str_of(name), SIZE_MAX);
            putchar('\n');
        }
    }
    json_decref(answer);
}

static const struct live_word *find_live(const char *typed, const char *next)
{
    char both[64];
    snprintf(both, sizeof both, "%s %s", typed, next != NULL ? next : "");
    for (size_t i = 0; i < sizeof live_words / sizeof live_words[0]; i++) {
        if (strcmp(live_words[i].verb, typed) == 0 || strcmp(live_words[i].verb, both) == 0) {
            return &live_words[i];
        }
    }
    return NULL;
}

static void offer_contexts(const char *begun)
{
    char names[CONTEXTS_MAX][CONTEXT_NAME_SIZE];
    const size_t known = context_list(names);
    for (size_t i = 0; i < known; i++) {
        if (strncmp(names[i], begun, strlen(begun)) == 0) {
            puts(names[i]);
        }
    }
}

/* The value of an option among the words that are whole. NULL: it is not there. */
static const char *typed_value(const char *const *words, size_t count, const char *name, const char *letter)
{
    const char *found = NULL;
    const size_t len = strlen(name);
    for (size_t i = 1; i + 1 < count; i++) {
        if (strncmp(words[i], name, len) == 0 && words[i][len] == '=') {
            found = words[i] + len + 1;
        } else if (i + 2 < count && (strcmp(words[i], name) == 0 || (letter != NULL && strcmp(words[i], letter) == 0))) {
            found = words[i + 1];
        }
    }
    return found;
}

/* The broker that the line leads to, as the verb would find it. */
static void choose_broker(const char *named, const char *const *words, size_t count)
{
    const char *url = typed_value(words, count, "--url", "-u"), *control = typed_value(words, count, "--control", NULL);
    (void)context_apply(named);
    if (url != NULL) {
        (void)setenv("LOOM_URL", url, true);
        (void)unsetenv("LOOM_CONTROL");
    }
    if (control != NULL) {
        (void)setenv("LOOM_CONTROL", control, true);
    }
}

static bool has_separator(const char *const *words, size_t count)
{
    for (size_t i = 0; i + 1 < count; i++) {
        if (strcmp(words[i], "--") == 0) {
            return true;
        }
    }
    return false;
}

/* words: as typed behind `loom`, the last one unfinished. Behind a -- stands another's command line. */
static void offer(const options *o, const char *const *words, size_t count)
{
    const char *begun = count > 0 ? words[count - 1] : "", *named = NULL;
    char *arguments[4] = {(char *)(uintptr_t)"loom"};
    int filled = 1;
    if (has_separator(words, count)) {
        return;
    }
    if (count > 2 && strcmp(words[0], "--context") == 0) {
        named = words[1];
        words += 2;
        count -= 2;
    }
    if ((count == 2 && strcmp(words[0], "--context") == 0) || (count == 3 && strcmp(words[0], "context") == 0 && begun[0] != '-' &&
                                                               strcmp(words[1], "ls") != 0)) {
        offer_contexts(begun);
        return;
    }
    for (size_t i = 0; i + 1 < count && filled < 3 && words[i][0] != '-'; i++) { /* the verb, and one of its own */
        arguments[filled++] = (char *)(uintptr_t)words[i];
    }
    const struct live_word *live = count > 1 ? find_live(words[0], filled > 2 ? words[1] : NULL) : NULL;
    if (live != NULL && begun[0] != '-') {
        choose_broker(named, words, count);
        offer_live(o, live, begun);
        return;
    }
    (void)verb_offer(filled, arguments, begun);
}

static int run(const options *o)
{
    static const struct {
        const char *shell, *script;
    } scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
    const char *what = o->operand_count > 0 ? o->operands[0] : "";
    if (strcmp(what, "words") == 0) {
        const size_t skip = o->operand_count > 1 && strcmp(o->operands[1], "--") == 0 ? 2 : 1;
        offer(o, o->operands + skip, o->operand_count - skip);
        return command_finish(&completion, VERB_OK);
    }
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        if (strcmp(what, scripts[i].shell) == 0 && o->operand_count == 1) {
            fputs(scripts[i].script, stdout);
            return command_finish(&completion, VERB_OK);
        }
    }
    return command_misuse(&completion, "name the shell: bash, zsh or fish");
}

int verb_completion(int argc, char *const argv[])
{
    return command_run(&completion, argc, argv, run);
}
