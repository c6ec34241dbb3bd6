/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/context.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "base/suggest.h"
#include "host/whole_file.h"
#include "tools/loom/verb.h"

enum { PATH_SIZE = 512 };

/* What a context holds, and the variable it becomes. */
const context_key context_keys[CONTEXT_KEYS] = {
    {"url", "LOOM_URL"},
    {"control", "LOOM_CONTROL"},
    {"ca", "LOOM_TLS_CA"},
    {"identity", "LOOM_IDENTITY"},
    {"trace-db", "LOOM_TRACE_DB"},
    {"description", NULL},
};

static bool folder_path(char out[PATH_SIZE], const char *below)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    const bool xdg = config != NULL && config[0] == '/';
    if (!xdg && (home == NULL || home[0] != '/')) {
        return false;
    }
    const int len = snprintf(out, PATH_SIZE, "%s%s/loom/%s", xdg ? config : home, xdg ? "" : "/.config", below);
    return len > 0 && len < PATH_SIZE;
}

/* A file's name, and nothing else: no path leads out of the folder. */
bool context_is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const size_t len = strlen(name);
    return len > 0 && len < CONTEXT_NAME_SIZE && strspn(name, allowed) == len && name[0] != '.';
}

static bool context_path(char out[PATH_SIZE], const char *name)
{
    char below[CONTEXT_NAME_SIZE + 16];
    snprintf(below, sizeof below, "contexts/%s", name);
    return folder_path(out, below);
}

/* False: errno says why. */
bool context_read(context *c, const char *name)
{
    char path[PATH_SIZE], line[CONTEXT_LINE_SIZE];
    memset(c, 0, sizeof *c);
    errno = ENOENT;
    FILE *in = context_is_name(name) && context_path(path, name) ? fopen(path, "re") : NULL;
    if (in == NULL) {
        return false;
    }
    while (fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *equals = strchr(line, '=');
        for (size_t i = 0; equals != NULL && line[0] != '#' && i < CONTEXT_KEYS; i++) {
            const char *key = context_keys[i].key;
            const size_t len = (size_t)(equals - line);
            if (strncmp(line, key, len) == 0 && key[len] == '\0') {
                snprintf(c->values[i], sizeof c->values[i], "%s", equals + 1);
            }
        }
    }
    fclose(in);
    return true;
}

/* The one that `loom context use` has chosen; "": none. */
void context_current(char name[CONTEXT_NAME_SIZE])
{
    char path[PATH_SIZE];
    name[0] = '\0';
    FILE *in = folder_path(path, "context") ? fopen(path, "re") : NULL;
    if (in != NULL) {
        if (fgets(name, CONTEXT_NAME_SIZE, in) == NULL) {
            name[0] = '\0';
        }
        name[strcspn(name, "\n")] = '\0';
        fclose(in);
    }
}

/* In order of their names; how many. */
size_t context_list(char names[CONTEXTS_MAX][CONTEXT_NAME_SIZE])
{
    char path[PATH_SIZE];
    struct dirent **entries = NULL;
    size_t count = 0;
    const int found = folder_path(path, "contexts") ? scandir(path, &entries, NULL, alphasort) : -1;
    for (int i = 0; i < found; i++) {
        if (context_is_name(entries[i]->d_name) && count < CONTEXTS_MAX) {
            snprintf(names[count++], CONTEXT_NAME_SIZE, "%s", entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return count;
}

int context_fail_unknown(const char *program, const char *name)
{
    char names[CONTEXTS_MAX][CONTEXT_NAME_SIZE];
    suggestion s;
    suggestion_init(&s, str_of(name));
    const size_t count = context_list(names);
    for (size_t i = 0; i < count; i++) {
        suggestion_consider(&s, names[i]);
    }
    const char *nearest = suggestion_result(&s);
    fprintf(stderr, "%s: there is no context \"%.60s\"", program, name);
    fprintf(stderr, nearest != NULL ? "; did you mean \"%s\"?\n" : "; `loom context ls` lists what there is%s\n", nearest != NULL ? nearest : "");
    return VERB_USAGE;
}

int context_apply(const char *named)
{
    char current[CONTEXT_NAME_SIZE];
    const char *name = named != NULL ? named : getenv("LOOM_CONTEXT");
    if (name == NULL || name[0] == '\0') {
        context_current(current);
        name = current;
    }
    context c;
    if (name[0] == '\0') {
        return VERB_OK;
    }
    if (!context_read(&c, name)) {
        return context_fail_unknown("loom", name);
    }
    for (size_t i = 0; i < CONTEXT_KEYS; i++) {
        const char *variable = context_keys[i].variable, *given = variable != NULL ? getenv(variable) : NULL;
        const bool stronger = named != NULL || given == NULL || given[0] == '\0';
        if (variable != NULL && c.values[i][0] != '\0' && stronger && setenv(variable, c.values[i], true) != 0) {
            fprintf(stderr, "loom: out of memory\n");
            return VERB_FAILED;
        }
    }
    return VERB_OK;
}

/* Each folder on the way. */
static bool make_folders(void)
{
    char path[PATH_SIZE];
    if (!folder_path(path, "contexts")) {
        errno = ENOENT;
        return false;
    }
    for (char *at = strchr(path + 1, '/');; at = strchr(at + 1, '/')) {
        if (at != NULL) {
            *at = '\0';
        }
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return false;
        }
        if (at == NULL) {
            return true;
        }
        *at = '/';
    }
}

bool context_write(const context *c, const char *name)
{
    char path[PATH_SIZE], *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (size_t i = 0; out != NULL && i < CONTEXT_KEYS; i++) {
        if (c->values[i][0] != '\0') {
            fprintf(out, "%s=%s\n", context_keys[i].key, c->values[i]);
        }
    }
    const bool written = out != NULL && fclose(out) == 0 && make_folders() && context_path(path, name) && whole_file_write(path, 0600, text);
    const int error = errno;
    free(text);
    errno = error;
    return written;
}

bool context_remove(const char *name)
{
    char path[PATH_SIZE], current[CONTEXT_NAME_SIZE];
    context_current(current);
    errno = ENOENT;
    return context_is_name(name) && context_path(path, name) && unlink(path) == 0 &&
           (strcmp(name, current) != 0 || context_use(""));
}

bool context_use(const char *name)
{
    char path[PATH_SIZE], text[CONTEXT_NAME_SIZE + 1];
    snprintf(text, sizeof text, "%s\n", name);
    return make_folders() && folder_path(path, "context") && whole_file_write(path, 0644, name[0] != '\0' ? text : "");
}
