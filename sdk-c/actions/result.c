/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/actions/result.h"

#include <stdlib.h>
#include <string.h>

#include "trace/messaging/call_span.h"

static const loom_status statuses[] = {
    [LOOM_OUTCOME_OK] = LOOM_OK,
    [LOOM_OUTCOME_ERROR] = LOOM_EREMOTE,
    [LOOM_OUTCOME_TIMEOUT] = LOOM_ETIMEDOUT,
    [LOOM_OUTCOME_NO_RESPONDERS] = LOOM_ENORESPONDERS,
    [LOOM_OUTCOME_DENIED] = LOOM_EDENIED,
    [LOOM_OUTCOME_CANCELLED] = LOOM_ECANCELED,
    [LOOM_OUTCOME_TOO_LARGE] = LOOM_ETOOBIG,
};

static bool is_known(loom_outcome outcome)
{
    return (unsigned)outcome < sizeof statuses / sizeof *statuses;
}

const char *loom_outcome_name(loom_outcome outcome)
{
    return call_outcome_name(outcome); /* the numbers are those of the wire */
}

loom_status outcome_status(loom_outcome outcome)
{
    return is_known(outcome) ? statuses[outcome] : LOOM_EREMOTE;
}

static char *put_text(uint8_t **at, loom_str text)
{
    char *copy = (char *)*at;
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    copy[text.len] = '\0';
    *at += text.len + 1;
    return copy;
}

void result_set(loom_result *result, loom_outcome outcome, loom_str code, loom_str text, loom_bytes payload)
{
    uint8_t *at = malloc(code.len + 1 + text.len + 1 + payload.len);
    if (at == NULL) {
        *result = (loom_result){.outcome = LOOM_OUTCOME_ERROR, .code = "out_of_memory", .text = "no memory for the result"};
        return;
    }
    result->outcome = is_known(outcome) ? outcome : LOOM_OUTCOME_ERROR;
    result->block = at;
    result->code = put_text(&at, code);
    result->text = put_text(&at, text);
    if (payload.len > 0) {
        memcpy(at, payload.data, payload.len);
    }
    result->payload = (loom_bytes){at, payload.len};
}

loom_outcome loom_result_outcome(const loom_result *result)
{
    return result != NULL ? result->outcome : LOOM_OUTCOME_ERROR;
}

const char *loom_result_code(const loom_result *result)
{
    return result != NULL ? result->code : "";
}

const char *loom_result_text(const loom_result *result)
{
    return result != NULL ? result->text : "";
}

loom_bytes loom_result_payload(const loom_result *result)
{
    return result != NULL ? result->payload : (loom_bytes){0};
}

void loom_result_free(loom_result *result)
{
    if (result != NULL) {
        free(result->block);
        free(result);
    }
}
