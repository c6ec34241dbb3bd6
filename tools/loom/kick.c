/* SPDX-License-Identifier: Apache-2.0 */
/* loom kick: ends an agent's session. */
#include <stdio.h>

#include "tools/loom/bus_names.h"
#include "tools/loom/control.h"
#include "tools/loom/verbs.h"

static const option_spec specs[] = {
    OPTIONS_CONTROL,
    OPTION_HELP,
};

static const command kick = {
    .manual = {.program = "loom kick",
               .synopsis = "[OPTION]… AGENT",
               .summary = "Ends an agent's session, as when its connection had broken: its subscriptions, capabilities and calls "
                          "go, and what waits for its groups goes to their other members. The agent is told that an operator has "
                          "ended the session. It may come back: agents on libloom do, after a moment. Only the control socket "
                          "takes this.",
               .specs = specs,
               .spec_count = sizeof specs / sizeof specs[0],
               .trailer = "Examples:\n"
                          "  loom kick sensor-7\n"
                          "  loom agents --json | jq -r '.agents[] | select(.state == \"silent\").agent' | xargs -n 1 loom kick\n"},
    .operands_max = 1,
};

static int run(const options *o)
{
    int exit_code = VERB_OK;
    char why[CONTROL_WHY_SIZE], hint[BUS_HINT_SIZE];
    const control_key keys[] = {{"agent", o->operands[0]}, {NULL, NULL}};
    json_t *answer = control_try_socket(o, "kick", keys, why, &exit_code);
    if (answer == NULL && exit_code == VERB_NOBODY) {
        (void)command_fail(&kick, "%s%s", why,
                           bus_names_hint(hint, &kick, o, BUS_AGENTS, o->operands[0], "; `loom agents` lists who is there", NULL));
    } else if (answer == NULL) {
        control_fail(&kick, exit_code, why);
    }
    json_decref(answer);
    return exit_code;
}

int verb_kick(int argc, char *const argv[])
{
    options o;
    int exit_code = VERB_OK;
    if (!command_start(&kick, &o, argc, argv, &exit_code)) {
        return exit_code;
    }
    if (o.operand_count < 1) {
        exit_code = command_misuse(&kick, "missing agent; `loom agents` lists them");
    } else {
        exit_code = run(&o);
    }
    options_fini(&o);
    return command_finish(&kick, exit_code);
}
