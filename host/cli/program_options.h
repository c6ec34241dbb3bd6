/* SPDX-License-Identifier: Apache-2.0 */
/* Every setting as a flag: the option table of a program, made from the settings' own table. */
#ifndef LOOM_HOST_CLI_PROGRAM_OPTIONS_H
#define LOOM_HOST_CLI_PROGRAM_OPTIONS_H

#include "host/cli/program.h"

/* Fills p->specs and p->names from p->spec. LOOM_ENOMEM: nothing is held. */
LOOM_MUST_CHECK loom_status program_build_options(program *p);
void program_free_options(program *p);
/* Puts every setting that was given as a flag into to. */
LOOM_MUST_CHECK loom_status program_apply_flags(program *p, settings *to, problems *list);
void program_print_help(const program *p, FILE *out);

#endif
