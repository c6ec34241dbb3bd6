/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/session/groups.h"

#include <stdlib.h>
#include <string.h>

typedef struct noted_group {
    size_t len;
    char name[];
} noted_group;

static void note(session *s, uint64_t subscription, loom_str name)
{
    if (s->groups.count >= SESSION_GROUPS_MAX) {
        return;
    }
    noted_group *group = malloc(sizeof *group + name.len);
    if (group == NULL) {
        return;
    }
    group->len = name.len;
    memcpy(group->name, name.data, name.len);
    if (number_table_add(&s->groups, subscription, group) != LOOM_OK) {
        free(group);
    }
}

void groups_note(session *s, const frame *f)
{
    if (f->type == FRAME_SUBSCRIBE && f->u.subscribe.group.len > 0) {
        note(s, f->u.subscribe.subscription, f->u.subscribe.group);
    } else if (f->type == FRAME_UNSUBSCRIBE && s->groups.count > 0) {
        free(number_table_remove(&s->groups, f->u.unsubscribe.subscription));
    }
}

loom_str groups_name(const session *s, uint64_t subscription)
{
    const noted_group *group = s->groups.count > 0 ? number_table_get(&s->groups, subscription) : NULL;
    return group != NULL ? (loom_str){group->name, group->len} : (loom_str){NULL, 0};
}

void groups_fini(session *s)
{
    void *group;
    for (size_t at = 0; number_table_next(&s->groups, &at, &group);) {
        free(group);
    }
    number_table_fini(&s->groups);
}
