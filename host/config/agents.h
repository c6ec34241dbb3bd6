/* SPDX-License-Identifier: Apache-2.0 */
/* [agents.NAME] of a loom.toml: the commands that `loom up` runs. Other programs check them and do nothing with them. */
#ifndef LOOM_HOST_CONFIG_AGENTS_H
#define LOOM_HOST_CONFIG_AGENTS_H

#include "host/config/config.h"

#define SETTINGS_AGENT_NAME_SIZE 33 /* bytes with NUL */
#define SETTINGS_AGENTS_MAX 256
#define SETTINGS_REPLICAS_MAX 256

typedef struct settings_agent {
    char name[SETTINGS_AGENT_NAME_SIZE];
    config_strings command;     /* arguments; the first is the program */
    char *cwd;                  /* relative to the folder of the file; "" is that folder */
    config_strings env;         /* NAME=value */
    int64_t replicas;
    char *restart;              /* on-failure, always, never */
    uint32_t restart_delay_ms;  /* before the first restart; later ones double it */
    int64_t restart_limit;      /* restarts in a row; 0 is none */
    char *ready;                /* start, bus */
    config_place place;         /* of its section */
    char label[SETTINGS_AGENT_NAME_SIZE + 8];
    config config;              /* points into this struct, which therefore does not move */
} settings_agent;

typedef struct settings_agents {
    settings_agent **items; /* in the order of the file */
    size_t count;
    config_family family;
} settings_agents;

void settings_agents_init(settings_agents *a); /* does not move from here on */
void settings_agents_fini(settings_agents *a);
/* The keys of [agents.NAME], for documentation. */
const config_key *settings_agent_keys(size_t *count);
/* What no key can check alone. LOOM_EINVAL: the problems are in the list. */
LOOM_MUST_CHECK loom_status settings_agents_check(const settings_agents *a, problems *list);
/* Adds "loom.toml:7:3: [agents.web] key text" to the list. Always LOOM_EINVAL. */
loom_status settings_agent_complain(const settings_agent *a, const char *key, problems *list, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
