/* SPDX-License-Identifier: Apache-2.0 */
/* What both sides of a contract net speak. */
#ifndef LOOM_SDK_CONTRACT_H
#define LOOM_SDK_CONTRACT_H

#include "sdk-c/collaboration/collaboration.h"

#define CONTRACT_CALL "loom.contract.call"
#define CONTRACT_PROPOSAL "loom.contract.proposal"
#define CONTRACT_AWARD "loom.contract.award"
#define CONTRACT_REJECT "loom.contract.reject"
#define CONTRACT_RESULT "loom.contract.result"
#define CONTRACT_FAILURE "loom.contract.failure"
#define CONTRACT_WINDOW "loom.contract.window_ms"
#define CONTRACT_SCORE "loom.contract.score"

enum { SCORE_SIZE = 64 };

/* ---- contract_score.c: numbers as text, with a point whatever the locale ---- */

void contract_score_to_text(char out[SCORE_SIZE], double score);
/* False: no finite decimal number. */
bool contract_score_from_text(double *out, loom_str text);

#endif
