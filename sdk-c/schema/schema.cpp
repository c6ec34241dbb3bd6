// SPDX-License-Identifier: Apache-2.0
#include "sdk-c/schema/schema.h"

#include <cstdio>
#include <exception>
#include <memory>
#include <stdexcept>

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "sdk-c/schema/bounds.hpp"
#include "sdk-c/schema/draft7.hpp"

using nlohmann::json;
using loom_schema_bounds::uses;
using adapter = valijson::adapters::NlohmannJsonAdapter;

struct loom_schema {
    json text; // what `compiled` points into
    valijson::Schema compiled;
    uses found;
};

namespace {

// What is wrong, for whoever wrote the schema or sent the payload.
class refusal : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

json parse(std::string_view text)
{
    if (loom_schema_bounds::too_deep(text)) {
        throw refusal("it is nested over 64 levels deep");
    }
    json parsed = json::parse(text.begin(), text.end(), nullptr, false);
    if (parsed.is_discarded()) {
        throw refusal(text.empty() ? "it is empty, and not JSON" : "it is not JSON");
    }
    return parsed;
}

// `<root>`, `[city]` and so on, as a JSON pointer.
std::string place_of(const valijson::ValidationResults::Error &error)
{
    std::string place;
    for (const std::string &step : error.context) {
        if (step.size() > 2 && step.front() == '[' && step.back() == ']') {
            place += "/" + step.substr(1, step.size() - 2);
        }
    }
    return place.empty() ? "at the top" : "at " + place;
}

void require(const valijson::Schema &schema, const json &value)
{
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    valijson::ValidationResults results;
    if (validator.validate(schema, adapter(value), &results)) {
        return;
    }
    valijson::ValidationResults::Error first;
    throw refusal(results.popError(first) ? place_of(first) + ": " + first.description : "it is not allowed");
}

std::unique_ptr<loom_schema> compile(json text, const uses &found)
{
    auto schema = std::make_unique<loom_schema>();
    schema->text = std::move(text);
    schema->found = found;
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(adapter(schema->text), schema->compiled);
    return schema;
}

json parse_schema(loom_str text)
{
    static const std::unique_ptr<loom_schema> of_schemas = compile(json::parse(draft7), uses());
    json schema = parse(std::string_view(text.data, text.len));
    if (const std::string fault = loom_schema_bounds::fault_of_payload(schema, {false, true}); !fault.empty()) {
        throw refusal(fault);
    }
    require(of_schemas->compiled, schema);
    return schema;
}

// Does the work; whatever it throws becomes a text.
template <typename work>
bool guarded(char problem[LOOM_SCHEMA_PROBLEM_SIZE], work &&do_it)
{
    try {
        problem[0] = '\0';
        do_it();
        return true;
    } catch (const std::bad_alloc &) {
        std::snprintf(problem, LOOM_SCHEMA_PROBLEM_SIZE, "out of memory");
    } catch (const std::exception &e) {
        std::snprintf(problem, LOOM_SCHEMA_PROBLEM_SIZE, "%s", e.what());
    }
    return false;
}

} // namespace

bool loom_schema_check(loom_str text, char problem[LOOM_SCHEMA_PROBLEM_SIZE])
{
    return guarded(problem, [&] { (void)parse_schema(text); });
}

loom_schema *loom_schema_compile(loom_str text, char problem[LOOM_SCHEMA_PROBLEM_SIZE])
{
    std::unique_ptr<loom_schema> schema;
    guarded(problem, [&] {
        json parsed = parse_schema(text);
        uses found;
        if (const std::string fault = loom_schema_bounds::fault_of_schema(parsed, found); !fault.empty()) {
            throw refusal(fault);
        }
        schema = compile(std::move(parsed), found);
    });
    return schema.release();
}

void loom_schema_free(loom_schema *schema)
{
    delete schema;
}

bool loom_schema_validate(const loom_schema *schema, loom_bytes payload, char problem[LOOM_SCHEMA_PROBLEM_SIZE])
{
    return guarded(problem, [&] {
        const json value = parse(std::string_view(reinterpret_cast<const char *>(payload.data), payload.len));
        if (const std::string fault = loom_schema_bounds::fault_of_payload(value, schema->found); !fault.empty()) {
            throw refusal(fault);
        }
        require(schema->compiled, value);
    });
}
