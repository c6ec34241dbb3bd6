/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of proposals as text, with a point whatever the locale. */
#ifndef LOOM_SDK_CONTRACT_SCORE_H
#define LOOM_SDK_CONTRACT_SCORE_H

#include <loom/api.h>

enum { SCORE_SIZE = 64 };

void contract_score_to_text(char out[SCORE_SIZE], double score);
/* False: no finite decimal number. */
bool contract_score_from_text(double *out, loom_str text);

#endif
