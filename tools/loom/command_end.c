/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/command_end.h"

#include <stdio.h>
#include <string.h>

void command_end_code(char out[COMMAND_CODE_SIZE], const piped_end *end)
{
    switch (end->how) {
    case PIPED_EXITED: snprintf(out, COMMAND_CODE_SIZE, "exit_%d", end->number); break;
    case PIPED_SIGNALLED: snprintf(out, COMMAND_CODE_SIZE, "signal_%d", end->number); break;
    case PIPED_GIVEN_UP: snprintf(out, COMMAND_CODE_SIZE, "given_up"); break;
    case PIPED_TOO_MUCH: snprintf(out, COMMAND_CODE_SIZE, "output_too_large"); break;
    case PIPED_NOT_STARTED: snprintf(out, COMMAND_CODE_SIZE, "not_started"); break;
    }
}

const char *command_last_line(char *text)
{
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' ')) {
        text[--len] = '\0';
    }
    const char *newline = strrchr(text, '\n');
    return newline != NULL ? newline + 1 : text;
}
