/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a broker's control socket (envelope/WIRE.md, 5.3): a msgpack map there, a msgpack map back. */
#ifndef LOOM_TOOLS_CONTROL_H
#define LOOM_TOOLS_CONTROL_H

#include "tools/loom/control_question.h"
#include "tools/loom/verb.h"

#define OPTIONS_CONTROL                                                                                              \
    {.name = "control", .kind = OPTION_VALUE, .value = "URL", .group = "Connection",                                 \
     .help = "The broker's bus_control; default: LOOM_CONTROL, or this machine's broker"}

enum { CONTROL_ADDRESS_SIZE = 256 };
/* Where the control socket is: --control, LOOM_CONTROL, or this machine's broker, whose address is written to fallback. NULL:
 * said on standard error, *exit_code tells. */
const char *control_address(const command *c, const options *o, char *fallback, size_t size, int *exit_code);

/* Asks op and gives the answer as JSON; the caller owns it. Over the agent link, when --url is given, or LOOM_URL is set and
 * LOOM_CONTROL is not; else, and with --control, the control socket. keys: ended by a NULL name; may be NULL. NULL: said on standard
 * error, *exit_code tells. */
json_t *control_ask(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code);
/* The same of the control socket alone. */
json_t *control_ask_socket(const command *c, const options *o, const char *op, const control_key *keys, int *exit_code);
/* Asks an op that answers with a list under its own name, page by page, ordered by item_key; an array. Otherwise the same. */
json_t *control_list(const command *c, const options *o, const char *op, const char *item_key, const control_key *keys,
                     int *exit_code);
/* The same without a command line, and quiet: NULL, and why says why. item_key NULL: the answer is no list. Any thread. */
json_t *control_query(const char *where, const char *op, const char *item_key, const control_key *keys, char *why, size_t size);

#endif
