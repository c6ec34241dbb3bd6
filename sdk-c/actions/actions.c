/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/actions/actions.h"

#include <stdlib.h>

loom_status actions_create(actions **out)
{
    actions *s = *out = calloc(1, sizeof *s);
    if (s == NULL) {
        return LOOM_ENOMEM;
    }
    bytes_table_init(&s->worked_on);
    bytes_table_init(&s->by_id);
    hash_index_init(&s->by_number);
    return LOOM_OK;
}

void actions_free(actions *s)
{
    if (s == NULL) {
        return;
    }
    capabilities_fini(s);
    bytes_table_fini(&s->worked_on);
    bytes_table_fini(&s->by_id);
    hash_index_fini(&s->by_number);
    free(s);
}

loom_status actions_announce(loom_agent *a)
{
    loom_status st = capabilities_announce(a);
    return st == LOOM_OK ? open_calls_send(a) : st;
}

bool actions_busy(const loom_agent *a)
{
    return bytes_table_count(&a->actions->worked_on) > 0 || a->actions->open.first != NULL;
}

void actions_broken(loom_agent *a)
{
    capabilities_forget_answers(a);
    actions_end_worked_on(a);
    open_calls_end(a, false);
}

void actions_tell_broken(loom_agent *a)
{
    actions_tell_worked_on(a);
    open_calls_tell_ended(a);
}

void actions_close(loom_agent *a)
{
    pthread_mutex_lock(&a->loop.lock);
    actions_end_worked_on(a);
    open_calls_end(a, true);
    loop_changed(&a->loop);
    pthread_mutex_unlock(&a->loop.lock);
    actions_drop_waiting(a);
    actions_tell_broken(a);
}
