/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/net/sp/internal.h"

enum { LINES_A_SECOND = 5, LINE_SIZE = 512 };

void sp_log(sp_log_state *state, const sp_options *options, uint64_t now_ms, log_level level, const char *format, ...)
{
    if (options->log == NULL) {
        return;
    }
    if (state->second != now_ms / 1000) {
        state->second = now_ms / 1000;
        state->lines = 0;
    }
    if (state->lines == LINES_A_SECOND) {
        state->left_out++;
        return;
    }
    state->lines++;
    char line[LINE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (state->left_out > 0) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, " left_out=%u", state->left_out);
        state->left_out = 0;
    }
    options->log(options->user, level, line);
}
