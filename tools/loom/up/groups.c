/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/up/groups.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { STAT_SIZE = 1024, LOOK_US = 20000, FIELD_GROUP = 2, FIELD_START = 19 /* behind the name, from 0 */ };

typedef struct process_stat {
    char state;
    pid_t group;
    uint64_t start;
} process_stat;

/* "PID (NAME) STATE PPID PGRP …"; the name may hold anything, so what counts is behind its last parenthesis. */
static bool parse_stat(process_stat *out, char *text)
{
    char *save = NULL, *at = strrchr(text, ')');
    if (at == NULL) {
        return false;
    }
    int field = 0;
    for (char *word = strtok_r(at + 1, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save), field++) {
        if (field == 0) {
            out->state = word[0];
        } else if (field == FIELD_GROUP) {
            out->group = (pid_t)strtol(word, NULL, 10);
        } else if (field == FIELD_START) {
            out->start = strtoull(word, NULL, 10);
            return true;
        }
    }
    return false;
}

static bool read_stat(process_stat *out, const char *pid)
{
    char path[64], text[STAT_SIZE];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0) {
        return false;
    }
    text[len] = '\0';
    return parse_stat(out, text);
}

static bool stat_of(process_stat *out, pid_t pid)
{
    char name[24];
    snprintf(name, sizeof name, "%d", (int)pid);
    return pid > 0 && read_stat(out, name);
}

static bool has_ended(const process_stat *s)
{
    return s->state == 'Z' || s->state == 'X';
}

bool process_id_of(process_id *out, pid_t pid)
{
    process_stat s;
    if (!stat_of(&s, pid)) {
        return false;
    }
    *out = (process_id){pid, s.start};
    return true;
}

bool process_id_runs(const process_id *p)
{
    process_stat s;
    return stat_of(&s, p->pid) && s.start == p->start && !has_ended(&s);
}

bool group_runs(pid_t group)
{
    if (group <= 1 || kill(-group, 0) != 0) {
        return false;
    }
    DIR *all = opendir("/proc");
    bool found = all == NULL; /* then kill() has the last word */
    for (const struct dirent *entry; !found && (entry = readdir(all)) != NULL;) {
        process_stat s;
        found = isdigit((unsigned char)entry->d_name[0]) && read_stat(&s, entry->d_name) && s.group == group && !has_ended(&s);
    }
    if (all != NULL) {
        closedir(all);
    }
    return found;
}

static void signal_all(const pid_t *groups, size_t count, int signal)
{
    for (size_t i = count; i-- > 0;) {
        if (groups[i] > 1) {
            (void)kill(-groups[i], signal);
        }
    }
}

static bool any_runs(const pid_t *groups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (group_runs(groups[i])) {
            return true;
        }
    }
    return false;
}

void groups_end(const pid_t *groups, size_t count, unsigned wait_ms)
{
    const uint64_t end = clock_monotonic_ms() + wait_ms;
    signal_all(groups, count, SIGTERM);
    while (any_runs(groups, count) && clock_monotonic_ms() < end) {
        usleep(LOOK_US);
    }
    signal_all(groups, count, SIGKILL);
}
