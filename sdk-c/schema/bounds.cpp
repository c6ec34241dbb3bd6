// SPDX-License-Identifier: Apache-2.0
#include "sdk-c/schema/bounds.hpp"

#include <regex>
#include <set>

namespace loom_schema_bounds {

namespace {

constexpr int depth_max = 64;
constexpr std::size_t string_max = 4096, unique_items_max = 2000;

// Keywords of later drafts that would be passed over in silence.
const std::set<std::string> later = {"prefixItems",       "dependentRequired", "dependentSchemas", "unevaluatedItems",
                                     "unevaluatedProperties", "minContains",   "maxContains",      "$dynamicRef",
                                     "$dynamicAnchor",    "$recursiveRef",     "$anchor"};
// Keywords whose value is data, or has keys of the schema's author: nothing in it is a keyword.
const std::set<std::string> data = {"const", "enum", "default", "examples"};
const std::set<std::string> named = {"properties", "patternProperties", "definitions", "$defs", "dependencies"};

// Walks a schema once; fault stays empty while all is well.
class walk {
public:
    walk(const json &whole, uses &into) : root(whole), found(into) {}
    std::string fault;

    void visit(const json &schema)
    {
        if (schema.is_array()) {
            for (const auto &item : schema) {
                visit(item);
            }
        }
        if (!schema.is_object() || !fault.empty()) {
            return;
        }
        follow(schema);
        for (const auto &[key, value] : schema.items()) {
            check_keyword(schema, key, value);
            if (named.count(key) != 0 && value.is_object()) {
                for (const auto &[name, inner] : value.items()) {
                    check_name(key, name);
                    visit(inner);
                }
            } else if (data.count(key) == 0) {
                visit(value);
            }
        }
    }

private:
    const json &root;
    uses &found;
    std::set<const json *> done, open;

    void check_regex(const std::string &pattern)
    {
        found.regexes = true;
        try {
            const std::regex compiled(pattern);
        } catch (const std::regex_error &) {
            fault = "\"" + pattern + "\" is no regular expression";
        }
    }

    void check_name(const std::string &key, const std::string &name)
    {
        if (key == "patternProperties") {
            check_regex(name);
        }
    }

    void check_keyword(const json &schema, const std::string &key, const json &value)
    {
        if (later.count(key) != 0) {
            fault = key + " is of a later draft than 7, which is what payloads are validated by";
        } else if (key == "$id" && &schema != &root) {
            fault = "an $id inside the schema is not supported";
        } else if (key == "pattern" && value.is_string()) {
            check_regex(value.get<std::string>());
        } else if (key == "format") {
            found.regexes = true;
        } else if (key == "uniqueItems") {
            found.unique_items = true;
        }
    }

    const json *target_of(const json &ref)
    {
        const std::string text = ref.is_string() ? ref.get<std::string>() : "";
        if (text.rfind('#', 0) != 0 || (text.size() > 1 && text[1] != '/')) {
            fault = "$ref \"" + text + "\" leads out of the schema: only \"#\" and \"#/…\" are followed";
            return nullptr;
        }
        try {
            const json::json_pointer pointer(text.substr(1));
            if (root.contains(pointer)) {
                return &root.at(pointer);
            }
        } catch (const json::exception &) {
            // as of one that leads nowhere
        }
        fault = "$ref \"" + text + "\" leads nowhere";
        return nullptr;
    }

    // Goes wherever the same value is validated again: there must be no way back.
    void follow(const json &schema)
    {
        if (!schema.is_object() || done.count(&schema) != 0 || !fault.empty()) {
            return;
        }
        if (!open.insert(&schema).second) {
            fault = "a $ref leads back to itself";
            return;
        }
        if (const auto ref = schema.find("$ref"); ref != schema.end()) {
            if (const json *target = target_of(*ref); target != nullptr) {
                follow(*target);
            }
        } else {
            for (const char *key : {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependencies"}) {
                follow_value(schema, key);
            }
        }
        open.erase(&schema);
        done.insert(&schema);
    }

    void follow_value(const json &schema, const char *key)
    {
        const auto value = schema.find(key);
        if (value == schema.end()) {
            return;
        }
        const std::string name = key;
        if (value->is_array() || name == "dependencies") {
            for (const auto &item : *value) {
                follow(item);
            }
        } else {
            follow(*value);
        }
    }
};

} // namespace

bool too_deep(std::string_view text)
{
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (quoted) {
            i += c == '\\' ? 1 : 0;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > depth_max) {
                return true;
            }
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

std::string fault_of_schema(const json &schema, uses &found)
{
    walk w(schema, found);
    w.visit(schema);
    return w.fault;
}

std::string fault_of_payload(const json &payload, const uses &by)
{
    if (by.regexes && payload.is_string() && payload.get_ref<const std::string &>().size() > string_max) {
        return "a string is over 4096 bytes, too long to be matched against a pattern or format";
    }
    if (by.unique_items && payload.is_array() && payload.size() > unique_items_max) {
        return "an array has more than 2000 items, too many to tell whether they are unique";
    }
    if (payload.is_structured()) {
        for (const auto &[key, value] : payload.items()) {
            if (by.regexes && key.size() > string_max) {
                return "a name is over 4096 bytes, too long to be matched against a pattern";
            }
            if (std::string fault = fault_of_payload(value, by); !fault.empty()) {
                return fault;
            }
        }
    }
    return "";
}

} // namespace loom_schema_bounds
