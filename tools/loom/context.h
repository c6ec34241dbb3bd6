/* SPDX-License-Identifier: Apache-2.0 */
/* Named sets of addresses: which broker `loom` talks to. A context is a file of KEY=VALUE lines in the user's configuration
 * folder; what it says becomes the variables that every verb, and every command that a verb runs, reads anyway. */
#ifndef LOOM_TOOLS_CONTEXT_H
#define LOOM_TOOLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

enum { CONTEXT_KEYS = 6, CONTEXT_LINE_SIZE = 1024, CONTEXT_NAME_SIZE = 66, CONTEXTS_MAX = 256 };

/* What a context holds, and the variable it becomes; NULL: none. The first is the URL, the last the description. */
typedef struct context_key {
    const char *key, *variable;
} context_key;
extern const context_key context_keys[CONTEXT_KEYS];

typedef struct context {
    char values[CONTEXT_KEYS][CONTEXT_LINE_SIZE]; /* "": not set */
} context;

/* Letters, digits, dots, dashes, so that it is a file's name and nothing else. */
bool context_is_name(const char *name);
/* False: errno says why, and *c is empty. */
bool context_read(context *c, const char *name);
bool context_write(const context *c, const char *name);
/* The one that `loom context use` has chosen; "": none. */
void context_current(char name[CONTEXT_NAME_SIZE]);
/* Also no longer the one that is chosen, if it was. False: errno says why. */
bool context_remove(const char *name);
/* Chooses it; "": none. False: errno says why. */
bool context_use(const char *name);
/* In order of their names; how many. */
size_t context_list(char names[CONTEXTS_MAX][CONTEXT_NAME_SIZE]);
/* Says so on standard error; returns the exit code. */
int context_fail_unknown(const char *program, const char *name);

/* Puts the context that is chosen into the environment. named: by --context, and then stronger than what is there already;
 * NULL: that of LOOM_CONTEXT, or of `loom context use`, which fill in what is missing. VERB_OK, or an exit code: said on
 * standard error. One thread. */
int context_apply(const char *named);

#endif
