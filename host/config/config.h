/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration as a table of keys: one row says a key's type, range, default, help and where its value goes.
 * The file, the environment and the flags all end in config_put(), so that a value is checked by one piece of code.
 * Later sources overwrite earlier ones; the caller applies them in the order default, file, environment, flag. */
#ifndef LOOM_HOST_CONFIG_CONFIG_H
#define LOOM_HOST_CONFIG_CONFIG_H

#include "host/config/problems.h"

#include <loom/status.h>
#include <string.h>

LOOM_BEGIN_DECLS

#define CONFIG_FILE_MAX (1024 * 1024) /* bytes of a configuration file */
#define CONFIG_TEXT_MAX 4096          /* bytes of one string value */
#define CONFIG_LIST_MAX 64            /* strings of one list */
#define CONFIG_CHECK_SIZE 256         /* room for what a check says */

typedef struct config_strings {
    char **items; /* owned, NULL when count is 0 */
    size_t count;
} config_strings;

/* What a key's field in the values struct is. */
typedef enum config_type {
    CONFIG_BOOL,     /* bool */
    CONFIG_INT,      /* int64_t */
    CONFIG_DOUBLE,   /* double */
    CONFIG_STRING,   /* char *, owned, never NULL */
    CONFIG_STRINGS,  /* config_strings */
    CONFIG_DURATION, /* uint32_t, milliseconds; written "5s", "250ms", "2m", "1h" */
    CONFIG_SIZE,     /* size_t, bytes; written 4096, "64KiB", "1MiB", "2GiB" */
    CONFIG_COMMAND,  /* config_strings: a list is an argument vector, one string a line for /bin/sh -c */
    CONFIG_VARIABLES /* config_strings: "NAME=value"; written as a table of strings */
} config_type;

/* False when a text cannot stand there; why[] then holds a sentence fragment without the text itself. */
typedef bool (*config_check)(const char *text, char why[CONFIG_CHECK_SIZE]);

typedef struct config_key {
    const char *section;
    const char *name;
    config_type type;
    size_t offset;        /* of the field in the values struct */
    int64_t min, max;     /* of numbers, milliseconds and bytes, both inclusive */
    const char *fallback; /* the default, as a flag would say it; lists are separated by commas; "{runtime}" stands for
                             the runtime directory (base/runtime_dir.h) */
    const char *choices;  /* "a|b|c" for a string; NULL: any text */
    config_check check;   /* of each string; NULL: none */
    const char *env;      /* environment variables, the strongest first, separated by blanks; NULL: LOOM_SECTION_NAME */
    const char *instead;  /* what counts when a variable's value is refused; NULL: the default */
    const char *value;    /* what help calls the value, such as "URL"; NULL: by type */
    const char *help;     /* a sentence, without its stop */
    bool live;            /* may change while the program runs: a reload takes it over */
} config_key;

typedef enum config_source { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENV, CONFIG_FROM_FLAG } config_source;

/* Its value may be a URL, and so hold a password, also where it has no scheme ("user:password@host:4317"). */
static inline bool config_is_url(const config_key *key)
{
    return key->value != NULL && strcmp(key->value, "URL") == 0;
}

/* Where a value stands. */
typedef struct config_place {
    config_source source;
    unsigned line, column;     /* 1-based; 0: not in a file */
    problem_severity severity; /* of a problem found there */
    char name[64];             /* a variable or a flag; empty for a file, whose name the config keeps */
} config_place;

struct config;

/* Sections of one form under names of the user's: [agents.NAME], each of which is read into a config of its own. */
typedef struct config_family {
    const char *section; /* "agents" */
    /* The config of one more, which the family owns. LOOM_EINVAL: why says what is wrong with the name, or that there are
     * too many. LOOM_ENOMEM. */
    loom_status (*add)(void *user, loom_str name, const struct config_place *place, struct config **out,
                       char why[CONFIG_CHECK_SIZE]);
    void *user;
} config_family;

typedef struct config {
    const config_key *keys; /* borrowed, usually static */
    size_t count;
    void *values;           /* borrowed; the strings in it belong to the config */
    config_place *places;   /* one per key: where its value came from */
    char *file;             /* name of the file that was read; NULL: none */
    const config_family *family; /* borrowed; NULL: there is none */
    const char *label;      /* borrowed: what problems call the section of a member, "agents.web"; NULL: as its keys do */
} config;

/* A value before it is checked: what a TOML parser or a command line delivers. Text is borrowed. */
typedef enum config_kind {
    CONFIG_KIND_BOOL,
    CONFIG_KIND_INT,
    CONFIG_KIND_DOUBLE,
    CONFIG_KIND_TEXT,
    CONFIG_KIND_LIST,
    CONFIG_KIND_OTHER /* a date, a table, a mixed array: fits no key */
} config_kind;

typedef struct config_value {
    config_kind kind;
    bool boolean;
    int64_t integer;
    double real;
    loom_str text;
    const loom_str *list;
    size_t list_count;
    const char *other; /* what it is, for the problem: "a date" */
} config_value;

/* values must be zeroed; on LOOM_OK every field holds its default. A default that breaks its own rules is a mistake in
 * the table and asserted. LOOM_ENOMEM: nothing is held. */
LOOM_MUST_CHECK loom_status config_init(config *c, const config_key *keys, size_t count, void *values);
/* Frees the values' strings and zeroes those fields. */
void config_fini(config *c);

/* Index of a key, or c->count. */
size_t config_find(const config *c, loom_str section, loom_str name);
bool config_has_section(const config *c, loom_str section);

/* Checks value and stores it as key's. LOOM_EINVAL: the problem is in the list, the old value stays. LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status config_put(config *c, size_t key, const config_value *value, const config_place *place,
                                       problems *list);
/* The same from texts, as flags and the environment give them: several for a CONFIG_STRINGS key, otherwise one. */
LOOM_MUST_CHECK loom_status config_put_texts(config *c, size_t key, const loom_str *texts, size_t count,
                                             const config_place *place, problems *list);

/* Reads a whole file. LOOM_EINVAL: problems are in the list (unreadable, over CONFIG_FILE_MAX, wrong). LOOM_ENOMEM. */
LOOM_MUST_CHECK loom_status config_load_file(config *c, const char *path, problems *list);
/* The same from memory; name is what problems call it. All mistakes are reported; values without mistakes are stored.
 * (config_toml.cpp: the only file that knows the TOML library.) */
LOOM_MUST_CHECK loom_status config_load_toml(config *c, const char *name, loom_str text, problems *list);

/* Applies the environment: LOOM_<SECTION>_<NAME>, or the variables a key names. Empty variables count as unset.
 * A bad value in an OTEL_ variable is a warning and ignored, as the OpenTelemetry specification asks. */
LOOM_MUST_CHECK loom_status config_load_env(config *c, problems *list);
/* Writes the name of the variable a key without env of its own is read from. */
void config_env_name(char *out, size_t size, const config_key *key);

/* "loom.toml:7:3", "LOOM_LOG_LEVEL", "--log-level", "default". */
void config_describe_place(const config *c, const config_place *place, char *out, size_t size);

/* Whether both have the same value of a key; both have the same keys. LOOM_ENOMEM counts as the same. */
bool config_same_value(const config *a, const config *b, size_t key);
/* Exchanges the values of a key, and where they came from. */
void config_swap_value(config *a, config *b, size_t key);

/* Writes one value as TOML, which for every type but the empty float is JSON as well. */
void config_print_value(const config *c, size_t key, FILE *out);

LOOM_END_DECLS
#endif
