/* SPDX-License-Identifier: Apache-2.0 */
/* Calls text.shout and prints the result: ask WORD */
#include <loom/loom.h>
#include <stdio.h>
#include <string.h>

static int print_outcome(loom_status st, const loom_result *result)
{
    loom_bytes payload = loom_result_payload(result);
    if (st == LOOM_OK) {
        printf("%.*s\n", (int)payload.len, (const char *)payload.data);
        return 0;
    }
    if (result != NULL) { /* an outcome, but no good one: nobody provides it, it took too long, it failed */
        fprintf(stderr, "ask: %s (%s): %s\n", loom_outcome_name(loom_result_outcome(result)), loom_result_code(result),
                loom_result_text(result));
    } else {
        fprintf(stderr, "ask: %s\n", loom_status_text(st));
    }
    return 1;
}

int main(int argc, char **argv)
{
    loom_agent *agent;
    loom_agent_options options = LOOM_INIT;
    loom_invoke_options how = LOOM_INIT;
    loom_result *result = NULL;
    loom_bytes payload = LOOM_INIT;
    loom_status st;
    int code;
    if (argc != 2) {
        fputs("Usage: ask WORD\n", stderr);
        return 2;
    }
    payload.data = (const uint8_t *)argv[1];
    payload.len = strlen(argv[1]);
    options.id = "asker";
    how.deadline_ms = 2000;
    if (loom_agent_open(&agent, &options) != LOOM_OK) {
        fprintf(stderr, "ask: %s\n", loom_last_error());
        return 1;
    }
    st = loom_agent_invoke(agent, "text.shout", payload, &how, &result);
    code = print_outcome(st, result);
    loom_result_free(result);
    (void)loom_agent_close(agent);
    return code;
}
