/* SPDX-License-Identifier: Apache-2.0 */
/* How a command of a capability or a responder has ended, in words for its caller. */
#ifndef LOOM_TOOLS_COMMAND_END_H
#define LOOM_TOOLS_COMMAND_END_H

#include "trace/process/run/piped.h"

enum { COMMAND_CODE_SIZE = 32 };

/* "exit_3", "signal_9", "not_started", "output_too_large", "given_up"; of one that has ended well "exit_0". */
void command_end_code(char out[COMMAND_CODE_SIZE], const piped_end *end);
/* The last line that says something; cuts white space off the end of text. */
const char *command_last_line(char *text);

#endif
