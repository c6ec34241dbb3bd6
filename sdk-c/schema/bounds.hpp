// SPDX-License-Identifier: Apache-2.0
// What a schema uses, and what it and payloads must not, since neither valijson nor std::regex knows a bound.
#ifndef LOOM_SDK_SCHEMA_BOUNDS_HPP
#define LOOM_SDK_SCHEMA_BOUNDS_HPP

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace loom_schema_bounds {

using nlohmann::json;

// Of a schema: which of its keywords make payloads costly.
struct uses {
    bool regexes = false, unique_items = false;
};

// Brackets open at once; outside of strings. Before parsing, which is not recursive, comes everything that is.
bool too_deep(std::string_view text);

// What keeps the schema from being validated against; empty: nothing. Fills found.
std::string fault_of_schema(const json &schema, uses &found);

// The same of a payload, under a schema that uses these.
std::string fault_of_payload(const json &payload, const uses &by);

} // namespace loom_schema_bounds

#endif
