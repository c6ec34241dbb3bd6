/* SPDX-License-Identifier: Apache-2.0 */
#include "demos/market-analyst/market.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool copy_text(char *out, size_t size, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text[0] != '\0' && (size_t)snprintf(out, size, "%s", text) < size;
}

static bool copy_number(double *out, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    *out = json_number_value(value);
    return json_is_number(value) && isfinite(*out);
}

static bool copy_tick(long long *out, const json_t *object)
{
    const json_t *value = json_object_get(object, "tick");
    *out = json_integer_value(value);
    return json_is_integer(value);
}

static json_t *load(loom_bytes json)
{
    return json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
}

loom_status market_price_parse(market_price *out, loom_bytes json)
{
    json_t *object = load(json);
    bool whole = copy_text(out->symbol, sizeof out->symbol, object, "symbol") && copy_tick(&out->tick, object) &&
                 copy_number(&out->price, object, "price") && out->price > 0;
    json_decref(object);
    return whole ? LOOM_OK : LOOM_EMALFORMED;
}

loom_status market_partial_parse(market_partial *out, loom_bytes json)
{
    json_t *object = load(json);
    bool whole = copy_text(out->symbol, sizeof out->symbol, object, "symbol") && copy_tick(&out->tick, object) &&
                 copy_text(out->analyst, sizeof out->analyst, object, "analyst") && copy_number(&out->score, object, "score");
    json_decref(object);
    return whole ? LOOM_OK : LOOM_EMALFORMED;
}
