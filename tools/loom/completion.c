/* SPDX-License-Identifier: Apache-2.0 */
/* loom completion: what the shell offers for a command line of `loom` that is being typed. The shell's part is a few lines, which
 * ask `loom completion words` for the words. */
#include <string.h>

#include "tools/loom/bus_client.h"
#include "tools/loom/completion.h"
#include "tools/loom/control.h"
#include "tools/loom/verbs.h"

static const option_spec specs[] = {OPTIONS_BUS, OPTIONS_CONTROL, OPTION_HELP};

static const command completion = {
    .manual = {.program = "loom completion",
               .synopsis = "bash|zsh|fish\n       loom completion words [--] WORD…",
               .summary = "Prints what makes a shell complete verbs, options, and the topics, agents and capabilities that are on the "
                          "bus now. The second form is what it calls: it prints what the last word may become, a line each, with a "
                          "tab and a description; or `:files`, `:folders` or `:commands`, which the shell knows better.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  source <(loom completion bash)               in ~/.bashrc\n"
                          "  loom completion zsh >~/.zfunc/_loom          a folder of fpath\n"
                          "  loom completion fish >~/.config/fish/completions/loom.fish\n"},
    .operands_max = 256,
    .stops_at_operand = true,
};

/* bash takes --key=value for three words; what is printed is the value alone. */
static const char bash_script[] =
    "_loom() {\n"
    "    local line cur=\"${COMP_WORDS[COMP_CWORD]}\" words=()\n"
    "    [[ $cur = '=' ]] && cur=\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "            :files) compopt -o filenames; mapfile -t -O \"${#words[@]}\" words < <(compgen -f -- \"$cur\") ;;\n"
    "            :folders) compopt -o filenames; mapfile -t -O \"${#words[@]}\" words < <(compgen -d -- \"$cur\") ;;\n"
    "            :commands) mapfile -t -O \"${#words[@]}\" words < <(compgen -c -- \"$cur\") ;;\n"
    "            *) words+=(\"${line%%$'\\t'*}\") ;;\n"
    "        esac\n"
    "    done < <(loom completion words -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
    "    COMPREPLY=(\"${words[@]}\")\n"
    "}\n"
    "complete -F _loom loom\n";

/* Also a file of fpath, which zsh takes for the function's body. */
static const char zsh_script[] =
    "#compdef loom\n"
    "_loom() {\n"
    "    local -a found\n"
    "    local line shell\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "            :files|:folders|:commands) shell=$line ;;\n"
    "            *) found+=(\"${${line//:/\\\\:}/$'\\t'/:}\") ;;\n"
    "        esac\n"
    "    done < <(loom completion words -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    [[ $words[CURRENT] = --*=* ]] && compset -P '*='\n"
    "    case $shell in\n"
    "        :files) _files ;;\n"
    "        :folders) _files -/ ;;\n"
    "        :commands) _command_names -e ;;\n"
    "        *) _describe loom found ;;\n"
    "    esac\n"
    "}\n"
    "if [[ $funcstack[1] = _loom ]]; then _loom \"$@\"; else compdef _loom loom; fi\n";

/* fish wants --key=value whole. */
static const char fish_script[] =
    "function __fish_loom\n"
    "    set -l token (commandline -ct)\n"
    "    set -l begun (string replace -r -- '^--[^=]*=' '' \"$token\")\n"
    "    set -l front (string match -r -- '^--[^=]*=' \"$token\")\n"
    "    for line in (loom completion words -- (commandline -opc)[2..] \"$token\" 2>/dev/null)\n"
    "        switch $line\n"
    "            case ':files'\n"
    "                __fish_complete_path \"$begun\" | string replace -r -- '^' \"$front\"\n"
    "            case ':folders'\n"
    "                __fish_complete_directories \"$begun\" | string replace -r -- '^' \"$front\"\n"
    "            case ':commands'\n"
    "                __fish_complete_command\n"
    "            case '*'\n"
    "                printf '%s\\n' \"$front$line\"\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c loom -f -a '(__fish_loom)'\n";

static int run(const options *o)
{
    static const struct {
        const char *shell, *script;
    } scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
    const char *what = o->operand_count > 0 ? o->operands[0] : "";
    if (strcmp(what, "words") == 0) {
        const size_t skip = o->operand_count > 1 && strcmp(o->operands[1], "--") == 0 ? 2 : 1;
        completion_offer(&completion, o, o->operands + skip, o->operand_count - skip);
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
