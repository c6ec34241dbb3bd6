/* SPDX-License-Identifier: Apache-2.0 */
/* What an `up` will run: the broker, the view, and the agents of the file, each with its command line and directory. */
#ifndef LOOM_TOOLS_UP_PLAN_H
#define LOOM_TOOLS_UP_PLAN_H

#include "host/config/settings.h"
#include "tools/loom/up/project.h"

enum { PLAN_ITEMS_MAX = 1024, PLAN_NAME_SIZE = SETTINGS_AGENT_NAME_SIZE + 4 };

/* Also the order of starting; stopping goes the other way round. */
typedef enum plan_kind { PLAN_BROKER, PLAN_VIEW, PLAN_AGENT } plan_kind;
typedef enum plan_restart { PLAN_ON_FAILURE, PLAN_ALWAYS, PLAN_NEVER } plan_restart;

typedef struct plan_item {
    char name[PLAN_NAME_SIZE];
    plan_kind kind;
    char **argv;             /* owned */
    char *cwd;               /* owned */
    const config_strings *env; /* of the settings; NULL: none */
    plan_restart restart;
    uint32_t restart_delay_ms;
    int64_t restart_limit;   /* 0: none */
    bool ready_on_bus;
} plan_item;

typedef struct plan {
    plan_item *items;
    size_t count;
    char *program_folder;    /* the one this program is in; loom-broker is looked for there first */
    char *broker_ready, *view_url; /* files by which they tell that they are ready */
} plan;

/* Everything that can be known before something runs is checked: LOOM_EINVAL, and the problems are in the list. */
LOOM_MUST_CHECK loom_status plan_make(plan *out, const project *p, const settings *s, bool view, problems *list);
void plan_fini(plan *p);

#endif
