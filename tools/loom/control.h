/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a broker, at its control socket (envelope/WIRE.md, 5.3) or over the agent link (4.10): a msgpack map there, a
 * msgpack map back. */
#ifndef LOOM_TOOLS_CONTROL_H
#define LOOM_TOOLS_CONTROL_H

#include "tools/loom/control_question.h"
#include "tools/loom/link_question.h"

#define OPTIONS_CONTROL                                                                                              \
    {.name = "control", .kind = OPTION_VALUE, .value = "URL", .group = "Connection",                                 \
     .help = "The broker's bus_control; default: LOOM_CONTROL, or this machine's broker"}

enum { CONTROL_ADDRESS_SIZE = 256, CONTROL_WHY_SIZE = BUS_WHY_SIZE };
/* Where the control socket is: --control, LOOM_CONTROL, or this machine's broker, whose address is written to fallback. NULL: there
 * is no such address, or --url or LOOM_URL leads to a broker whose control socket nobody has named; why says so. */
const char *control_address(const options *o, char *fallback, size_t size, char *why, size_t why_size);

/* The broker that a command asks: over the agent link, when --url is given, or LOOM_URL is set and LOOM_CONTROL is not; else, and
 * with --control, at the control socket. One thread. */
typedef struct control_asker {
    const char *where; /* the control socket; NULL: the link is asked */
    char fallback[CONTROL_ADDRESS_SIZE];
    link_asker link;
} control_asker;

/* False: why says why, *exit_code what kind of failure it is, and there is nothing to close. */
bool control_asker_open(control_asker *a, const command *c, const options *o, char *why, size_t size, int *exit_code);
/* item_key NULL: the answer; otherwise the list under op's own name, page by page, ordered by item_key. keys: ended by a NULL
 * name; may be NULL. The caller owns what it gets. NULL: as above. */
json_t *control_asker_ask(control_asker *a, const char *op, const char *item_key, const control_key *keys, char *why, size_t size,
                          int *exit_code);
void control_asker_close(control_asker *a);

/* All of it for one question; NULL: said on standard error. */
json_t *control_ask(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code);
json_t *control_list(const command *c, const options *o, const char *op, const char *item_key, const control_key *keys,
                     int *exit_code);
/* As control_ask(), of the control socket alone. */
json_t *control_ask_socket(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code);
/* The same, but why says why, and nobody else. */
json_t *control_try_socket(const options *o, const char *op, const control_key *keys, char why[CONTROL_WHY_SIZE], int *exit_code);
/* On standard error: why a question failed. Returns exit_code. */
int control_fail(const command *c, int exit_code, const char *why);
/* As verb_exit_of(), for what a broker or its address is asked wrongly. */
int control_exit_of(loom_status st);
/* The same without a command line, and quiet: NULL, and why says why. item_key NULL: the answer is no list. Any thread. */
json_t *control_query(const char *where, const char *op, const char *item_key, const control_key *keys, char *why, size_t size);

#endif
