/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/collaboration/contract_score.h"

#include "base/number.h"

void contract_score_to_text(char out[SCORE_SIZE], double score)
{
    (void)number_format(out, score, 17);
}

bool contract_score_from_text(double *out, loom_str text)
{
    return text.len < SCORE_SIZE && number_parse(text, out);
}
