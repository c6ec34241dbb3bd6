/* SPDX-License-Identifier: Apache-2.0 */
/* What both sides of a contract net speak. */
#ifndef LOOM_SDK_CONTRACT_H
#define LOOM_SDK_CONTRACT_H

#include "sdk-c/collaboration/reply.h"

#define CONTRACT_CALL "loom.contract.call"
#define CONTRACT_PROPOSAL "loom.contract.proposal"
#define CONTRACT_AWARD "loom.contract.award"
#define CONTRACT_REJECT "loom.contract.reject"
#define CONTRACT_RESULT "loom.contract.result"
#define CONTRACT_FAILURE "loom.contract.failure"
#define CONTRACT_WINDOW "loom.contract.window_ms"
#define CONTRACT_SCORE "loom.contract.score"

#endif
