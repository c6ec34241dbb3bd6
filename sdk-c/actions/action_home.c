/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/actions/action_home.h"

#include <stdlib.h>

loom_status action_home_create(action_home **out, loom_agent *a)
{
    action_home *home = calloc(1, sizeof *home);
    if (home == NULL) {
        return LOOM_ENOMEM;
    }
    if (pthread_cond_init(&home->left, NULL) != 0) {
        goto free_home;
    }
    if (pthread_mutex_init(&home->lock, NULL) != 0) {
        goto destroy_left;
    }
    atomic_init(&home->refs, 1);
    home->mark = fork_mark_take();
    home->agent = a;
    *out = home;
    return LOOM_OK;

destroy_left:
    pthread_cond_destroy(&home->left);
free_home:
    free(home);
    return LOOM_ENOMEM;
}

void action_home_unref(action_home *home)
{
    if (atomic_fetch_sub_explicit(&home->refs, 1, memory_order_acq_rel) == 1 && !fork_mark_is_foreign(home->mark)) {
        pthread_mutex_destroy(&home->lock);
        pthread_cond_destroy(&home->left);
        free(home);
    }
}

void action_home_close(action_home *home)
{
    if (home == NULL) {
        return;
    }
    pthread_mutex_lock(&home->lock);
    home->agent = NULL;
    while (home->guests > 0) {
        pthread_cond_wait(&home->left, &home->lock);
    }
    pthread_mutex_unlock(&home->lock);
    action_home_unref(home);
}

loom_agent *action_home_enter(action_home *home)
{
    pthread_mutex_lock(&home->lock);
    loom_agent *a = home->agent;
    home->guests += a != NULL;
    pthread_mutex_unlock(&home->lock);
    return a;
}

void action_home_leave(action_home *home)
{
    pthread_mutex_lock(&home->lock);
    if (--home->guests == 0) {
        pthread_cond_signal(&home->left);
    }
    pthread_mutex_unlock(&home->lock);
}
