/* SPDX-License-Identifier: Apache-2.0 */
/* asking_agent URL TOPIC COUNT IN_FLIGHT [TIMEOUT_MS]: makes some requests to warm up, and prints a line about itself. For
 * each line of input it makes COUNT requests, of which IN_FLIGHT are on their way at once, and prints another line; it ends
 * with its input. Each answer must be what was asked. */
#include <loom/loom.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

typedef struct asking {
    loom_agent *agent;
    const char *topic;
    uint32_t timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    unsigned in_flight, in_flight_max;
    unsigned answered, wrong, failed;
} asking;

typedef struct question {
    asking *all;
    char text[16];
} question;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_reply(loom_agent *agent, loom_status status, loom_envelope *reply, void *user)
{
    (void)agent;
    question *q = user;
    asking *all = q->all;
    loom_bytes payload = status == LOOM_OK ? loom_envelope_payload(reply) : (loom_bytes){0};
    bool right = bytes_equal(payload, bytes_of(q->text));
    pthread_mutex_lock(&all->lock);
    all->answered += right;
    all->wrong += status == LOOM_OK && !right;
    all->failed += status != LOOM_OK;
    all->in_flight--;
    pthread_cond_signal(&all->changed);
    pthread_mutex_unlock(&all->lock);
    free(q);
}

/* Waits until no more than so many are on their way. */
static void wait_for_room(asking *all, unsigned at_most, unsigned add)
{
    pthread_mutex_lock(&all->lock);
    while (all->in_flight > at_most) {
        pthread_cond_wait(&all->changed, &all->lock);
    }
    all->in_flight += add;
    pthread_mutex_unlock(&all->lock);
}

static void ask(asking *all, unsigned number)
{
    question *q = calloc(1, sizeof *q);
    if (q == NULL) {
        exit(1);
    }
    q->all = all;
    int len = snprintf(q->text, sizeof q->text, "%u", number);
    wait_for_room(all, all->in_flight_max - 1, 1);
    loom_request_options options = {.timeout_ms = all->timeout_ms};
    loom_status st = loom_agent_request_async(all->agent, all->topic, (loom_bytes){(uint8_t *)q->text, (size_t)len},
                                              &options, on_reply, q, NULL);
    if (st != LOOM_OK) {
        fprintf(stderr, "request %u: %s\n", number, loom_status_text(st));
        exit(1);
    }
}

static void ask_all(asking *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ask(all, i);
    }
    wait_for_room(all, 0, 0);
}

static void tell(asking *all, double took)
{
    loom_collaboration_stats stats = loom_agent_collaboration(all->agent);
    malloc_trim(0);
    printf("{\"seconds\": %.3f, \"answered\": %u, \"wrong\": %u, \"failed\": %u, \"heap\": %zu, \"requests\": %llu, "
           "\"replies\": %llu, \"timeouts\": %llu, \"late\": %llu, \"surplus\": %llu, \"open\": %zu}\n",
           took, all->answered, all->wrong, all->failed, mallinfo2().uordblks + mallinfo2().hblkhd,
           (unsigned long long)stats.requests, (unsigned long long)stats.replies, (unsigned long long)stats.timeouts,
           (unsigned long long)stats.late_replies, (unsigned long long)stats.surplus_replies, stats.open);
    fflush(stdout);
}

int main(int argc, char *argv[])
{
    if (argc < 5) {
        return 2;
    }
    asking all = {.topic = argv[2], .in_flight_max = (unsigned)atoi(argv[4]),
                  .timeout_ms = argc > 5 ? (uint32_t)atoi(argv[5]) : 0};
    char line[16];
    pthread_mutex_init(&all.lock, NULL);
    pthread_cond_init(&all.changed, NULL);
    if (loom_agent_open(&all.agent, &(loom_agent_options){.id = "asking", .url = argv[1]}) != LOOM_OK ||
        loom_agent_wait_connected(all.agent, 10000) != LOOM_OK) {
        return 1;
    }
    ask_all(&all, 2 * all.in_flight_max);
    tell(&all, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        double start = seconds();
        ask_all(&all, (unsigned)atoi(argv[3]));
        tell(&all, seconds() - start);
    }
    return loom_agent_close(all.agent) == LOOM_OK ? 0 : 1;
}
