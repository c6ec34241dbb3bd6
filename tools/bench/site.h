/* SPDX-License-Identifier: Apache-2.0 */
/* Where one round takes place: a directory of its own, the processes in it, and the memory they share.
 * site_close() leaves neither processes nor files, in every outcome. */
#ifndef LOOM_BENCH_SITE_H
#define LOOM_BENCH_SITE_H

#include <stdio.h>

#include "tools/bench/process.h"
#include "tools/bench/setup.h"
#include "tools/bench/shared.h"

enum { SITE_PATH_SIZE = 128, SITE_URL_SIZE = 256 };

typedef struct bench_site {
    const bench_setup *setup;
    char dir[SITE_PATH_SIZE];
    char url[SITE_URL_SIZE];     /* where the clients connect */
    char url_out[SITE_URL_SIZE]; /* where consumers connect, with a peer that has two places; or HTTP clients */
    unsigned index;              /* in a client's process: which producer or consumer it is */
    process_list processes;
    shared *shared;
} bench_site;

/* One line on standard error, with the program's name before it. */
void bench_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

bool site_open(bench_site *site, const bench_setup *setup);
/* Returns whether the user interrupted the round. */
bool site_close(bench_site *site);

/* dir/name. */
void site_path(const bench_site *site, char out[SITE_URL_SIZE], const char *name);
/* The program called name in the folder of this one; false, with a complaint, when there is none. */
bool site_sibling(char out[SITE_URL_SIZE], const char *name);
/* The program called name in PATH, or where a server lies that only root calls. */
bool site_find_program(char out[SITE_URL_SIZE], const char *name);
/* Waits until the file holds something; false when a process ends before, or after 10 s. */
bool site_wait_file(bench_site *site, const char *path);
/* Waits until done(site) holds, with the same exceptions. what names what is waited for. */
bool site_wait(bench_site *site, bool (*done)(const bench_site *site), const char *what);
/* Sleeps; false when a process ends, or the user interrupts. */
bool site_sleep(bench_site *site, double seconds);

#endif
