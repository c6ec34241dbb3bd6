/* SPDX-License-Identifier: Apache-2.0 */
/* loom new: a project that `loom up` runs at once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/loom/new/files.h"
#include "tools/loom/program_folder.h"
#include "tools/loom/verbs.h"

enum { NAME_MAX_LEN = 32, FILES_MAX = 8 };

typedef struct language {
    const char *name;
    const char *files[FILES_MAX];     /* of share/loom/new/NAME */
    const char *library_folder, *library; /* of share/loom, copied as well; NULL: none */
} language;

static const language languages[] = {
    {.name = "c", .files = {"loom.toml", "agent.c", "Makefile", "README.md"}},
    {.name = "python", .files = {"loom.toml", "greet.py", "README.md"}, .library_folder = "python", .library = "loom_trace.py"},
};

static const option_spec specs[] = {
    {.name = "lang", .letter = 'l', .kind = OPTION_VALUE, .value = "LANGUAGE", .choices = "c|python", .group = "Project",
     .help = "Language of its agent"},
    OPTION_HELP,
};

static const command new_project = {
    .manual = {.program = "loom new",
               .synopsis = "--lang LANGUAGE NAME",
               .summary = "Makes the folder NAME with a small project in it: an agent, and a loom.toml that `loom up` runs. Files "
                          "that are there are never overwritten.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom new hello --lang c && cd hello && loom up\n"
                          "  loom new hello --lang python\n"},
    .operands_max = 1,
};

/* It becomes a folder, an agent, and the first segment of topics. */
static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    return name[0] >= 'a' && name[0] <= 'z' && strlen(name) <= NAME_MAX_LEN && name[strspn(name, allowed)] == '\0' &&
           strcmp(name, "up") != 0 && strcmp(name, "broker") != 0 && strcmp(name, "view") != 0 && strcmp(name, "watch") != 0 &&
           strcmp(name, "system") != 0;
}

/* NULL: it has been said. */
static const language *find_language(const char *name, int *exit_code)
{
    for (size_t i = 0; name != NULL && i < sizeof languages / sizeof languages[0]; i++) {
        if (strcmp(languages[i].name, name) == 0) {
            return &languages[i];
        }
    }
    *exit_code = name == NULL ? command_misuse(&new_project, "missing --lang c or --lang python")
                              : command_misuse(&new_project, "--lang must be c or python, not \"%s\"", name);
    return NULL;
}

/* Nothing is begun that could not be finished. */
static bool is_free(const language *l, const char *name, char why[FILES_WHY_SIZE])
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        const char *file = l->files[i] != NULL ? l->files[i] : l->library;
        char path[NAME_MAX_LEN + 64];
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", name, file != NULL ? file : "");
        if (file != NULL && lstat(path, &info) == 0) {
            snprintf(why, FILES_WHY_SIZE, "%s is there already, and is not overwritten; choose another name", path);
            return false;
        }
    }
    return true;
}

static bool copy_all(const language *l, const char *share, const char *prefix, const char *name, char why[FILES_WHY_SIZE])
{
    const replacement with[] = {{"@NAME@", name}, {"@PREFIX@", prefix}, {NULL, NULL}}, as_it_is[] = {{NULL, NULL}};
    char *templates = NULL, *library = NULL;
    bool ok = asprintf(&templates, "%s/new/%s", share, l->name) >= 0 &&
              asprintf(&library, "%s/%s", share, l->library_folder != NULL ? l->library_folder : "") >= 0;
    for (size_t i = 0; ok && i < FILES_MAX && l->files[i] != NULL; i++) {
        ok = files_copy(templates, name, l->files[i], with, why);
    }
    if (ok && l->library != NULL) {
        ok = files_copy(library, name, l->library, as_it_is, why);
    }
    free(templates);
    free(library);
    return ok;
}

/* The folder above that of this program. NULL: not known. */
static char *find_prefix(void)
{
    char *prefix = program_folder();
    char *slash = prefix != NULL ? strrchr(prefix, '/') : NULL;
    if (slash != NULL) {
        *slash = '\0';
    }
    return prefix;
}

static int make(const language *l, const char *name)
{
    char why[FILES_WHY_SIZE] = "out of memory", *share = program_share(), *prefix = find_prefix();
    int exit_code;
    if (share == NULL || prefix == NULL) {
        exit_code = command_fail(&new_project, "cannot find share/loom beside this program; LOOM_LIBRARIES_DIR names it");
    } else if (mkdir(name, 0777) != 0 && errno != EEXIST) {
        exit_code = command_fail(&new_project, "cannot make the folder %s: %s", name, strerror(errno));
    } else if (!is_free(l, name, why) || !copy_all(l, share, prefix, name, why)) {
        exit_code = command_fail(&new_project, "%s", why);
    } else {
        printf("made %s: now run `cd %s && loom up`; %s/README.md says more\n", name, name, name);
        exit_code = command_finish(&new_project, VERB_OK);
    }
    free(share);
    free(prefix);
    return exit_code;
}

static int run(const options *o)
{
    int exit_code = VERB_OK;
    const language *l = find_language(options_value(o, "lang"), &exit_code);
    if (l == NULL) {
        return exit_code;
    }
    if (o->operand_count == 0) {
        return command_misuse(&new_project, "missing NAME, such as hello");
    }
    if (!is_name(o->operands[0])) {
        return command_misuse(&new_project, "a name has up to %d small letters, digits, dashes and underscores, and begins with a "
                                            "letter; up, broker, view, watch and system are taken: \"%s\"", NAME_MAX_LEN, o->operands[0]);
    }
    return make(l, o->operands[0]);
}

int verb_new(int argc, char *const argv[])
{
    return command_run(&new_project, argc, argv, run);
}
