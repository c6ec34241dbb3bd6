/* SPDX-License-Identifier: Apache-2.0 */
/* loom.toml by toml++ (TOML 1.0). No exception leaves this file, and nothing of toml++ either. */
#include "host/config/config.h"
#include "base/suggest.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <toml++/toml.h>

namespace {

/* toml++ frees nested tables by recursion. Arrays and inline tables it bounds itself; dotted keys, each dot of which is
 * a table in a table, it does not: a megabyte of "a.a.a…" would exhaust the stack. */
constexpr std::size_t dots_max = 1024;

loom_str borrow(std::string_view text) noexcept
{
    return {text.data(), text.size()};
}

/* Skips the string or comment that begins at `at`, as far as it is well formed; beyond its first mistake the parser
 * does not read. Returns the first position after it. */
std::size_t skip_string(std::string_view text, std::size_t at) noexcept
{
    const char quote = text[at];
    const bool lines = text.substr(at, 3) == (quote == '"' ? "\"\"\"" : "'''");
    at += lines ? 3 : 1;
    while (at < text.size()) {
        if (quote == '"' && text[at] == '\\') {
            at += 2;
        } else if (lines && text[at] == quote && text.substr(at, 3).find_first_not_of(quote) == std::string_view::npos
                   && text.size() - at >= 3) {
            at += 3;
            /* up to two quotes may stand right before the closing three */
            for (int extra = 0; extra < 2 && at < text.size() && text[at] == quote; extra++) {
                at++;
            }
            return at;
        } else if (!lines && (text[at] == quote || text[at] == '\n')) {
            return at + 1;
        } else {
            at++;
        }
    }
    return text.size();
}

std::size_t count_dots(std::string_view text) noexcept
{
    std::size_t dots = 0;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == '"' || text[at] == '\'') {
            at = skip_string(text, at);
        } else if (text[at] == '#') {
            at = std::min(text.find('\n', at), text.size());
        } else {
            dots += text[at] == '.' ? 1 : 0;
            at++;
        }
    }
    return dots;
}

struct loading {
    config *c;
    const char *name;
    problems *list;
    loom_status result;

    void keep(loom_status st) noexcept
    {
        if (st != LOOM_OK && result != LOOM_ENOMEM) {
            result = st;
        }
    }

    void complain(const toml::source_region &where, const char *what, std::string_view key, const char *rest,
                  const char *guess)
    {
        result = result == LOOM_OK ? LOOM_EINVAL : result;
        const unsigned line = where.begin.line, column = where.begin.column;
        const int shown = static_cast<int>(std::min<std::size_t>(key.size(), 64));
        problems_add_at(list, PROBLEM_ERROR, line, column, "%s:%u:%u: %s \"%.*s\"%s%s%s%s", name, line, column, what, shown,
                        key.data(), rest, guess != nullptr ? "; did you mean \"" : "", guess != nullptr ? guess : "",
                        guess != nullptr ? "\"?" : "");
    }
};

config_value list_value(const toml::array &array, loom_str (&items)[CONFIG_LIST_MAX + 1]) noexcept
{
    config_value value{};
    value.kind = CONFIG_KIND_LIST;
    for (const toml::node &item : array) {
        const auto *text = item.as_string();
        if (text == nullptr) {
            value.kind = CONFIG_KIND_OTHER;
            value.other = "a list with something else in it";
            return value;
        }
        if (value.list_count <= CONFIG_LIST_MAX) {
            items[value.list_count++] = borrow(text->get());
        }
    }
    value.list = items;
    return value;
}

config_value read_value(const toml::node &node, loom_str (&items)[CONFIG_LIST_MAX + 1]) noexcept
{
    config_value value{};
    if (const auto *text = node.as_string()) {
        value.kind = CONFIG_KIND_TEXT;
        value.text = borrow(text->get());
    } else if (const auto *boolean = node.as_boolean()) {
        value.kind = CONFIG_KIND_BOOL;
        value.boolean = boolean->get();
    } else if (const auto *integer = node.as_integer()) {
        value.kind = CONFIG_KIND_INT;
        value.integer = integer->get();
    } else if (const auto *real = node.as_floating_point()) {
        value.kind = CONFIG_KIND_DOUBLE;
        value.real = real->get();
    } else if (const auto *array = node.as_array()) {
        value = list_value(*array, items);
    } else {
        value.kind = CONFIG_KIND_OTHER;
        value.other = node.is_table() ? "a table" : "a date or time";
    }
    return value;
}

/* { NAME = "value" } as a list of "NAME=value". */
config_value read_variables(const toml::node &node, std::string (&texts)[CONFIG_LIST_MAX], loom_str (&items)[CONFIG_LIST_MAX + 1])
{
    config_value value{};
    value.kind = CONFIG_KIND_OTHER;
    if (!node.is_table()) {
        value.other = "something else";
        return value;
    }
    for (const auto &[name, entry] : *node.as_table()) {
        const auto *text = entry.as_string();
        value.other = text == nullptr ? "a table with something else in it" : "a table of more than 64";
        if (text == nullptr || value.list_count == CONFIG_LIST_MAX) {
            return value;
        }
        if (name.str().empty() || name.str().find('=') != std::string_view::npos) {
            value.other = "a table with a name that no variable can have";
            return value;
        }
        std::string &line = texts[value.list_count];
        line = std::string{name.str()} + "=" + text->get();
        items[value.list_count++] = borrow(line);
    }
    value.kind = CONFIG_KIND_LIST;
    value.list = items;
    return value;
}

config_place place_of(const toml::key &key) noexcept
{
    config_place place{};
    place.source = CONFIG_FROM_FILE;
    place.severity = PROBLEM_ERROR;
    place.line = key.source().begin.line;
    place.column = key.source().begin.column;
    return place;
}

const char *nearest_key(const config &c, std::string_view section, std::string_view key) noexcept
{
    suggestion near;
    suggestion_init(&near, borrow(key));
    for (std::size_t i = 0; i < c.count; i++) {
        if (section == (c.label != nullptr ? c.label : c.keys[i].section)) {
            suggestion_consider(&near, c.keys[i].name);
        }
    }
    return suggestion_result(&near);
}

const char *nearest_section(const config &c, std::string_view section) noexcept
{
    suggestion near;
    suggestion_init(&near, borrow(section));
    for (std::size_t i = 0; i < c.count; i++) {
        suggestion_consider(&near, c.keys[i].section);
    }
    if (c.family != nullptr) {
        suggestion_consider(&near, c.family->section);
    }
    return suggestion_result(&near);
}

/* keys: what the section is called in the table of keys; section: what people call it. */
void load_section(loading &l, std::string_view keys, std::string_view section, const toml::table &table)
{
    for (const auto &[key, node] : table) {
        const std::size_t index = config_find(l.c, borrow(keys), borrow(key.str()));
        if (index == l.c->count) {
            const std::string rest = std::string{" in ["} + std::string{section} + "]";
            l.complain(key.source(), "unknown key", key.str(), rest.c_str(), nearest_key(*l.c, section, key.str()));
            continue;
        }
        loom_str items[CONFIG_LIST_MAX + 1];
        std::string texts[CONFIG_LIST_MAX];
        const bool variables = l.c->keys[index].type == CONFIG_VARIABLES;
        const config_value value = variables ? read_variables(node, texts, items) : read_value(node, items);
        const config_place place = place_of(key);
        l.keep(config_put(l.c, index, &value, &place, l.list));
    }
}

/* A key above the first section header: most likely its header was forgotten. */
void refuse_stray(loading &l, const toml::key &key, bool is_table)
{
    for (std::size_t i = 0; i < l.c->count && !is_table; i++) {
        if (key.str() == l.c->keys[i].name) {
            const std::string rest =
                std::string{" stands outside of a section; it belongs below ["} + l.c->keys[i].section + "]";
            l.complain(key.source(), "the key", key.str(), rest.c_str(), nullptr);
            return;
        }
    }
    l.complain(key.source(), is_table ? "unknown section" : "unknown key outside of a section", key.str(), "",
               is_table ? nearest_section(*l.c, key.str()) : nullptr);
}

/* [agents.NAME]: each of the tables below is read into a config that the family makes. */
void load_family(loading &l, const config_family &family, const toml::table &table)
{
    for (const auto &[key, node] : table) {
        const config_place place = place_of(key);
        const std::string label = std::string{family.section} + "." + std::string{key.str()};
        char why[CONFIG_CHECK_SIZE] = "";
        config *member = nullptr;
        if (!node.is_table()) {
            l.complain(key.source(), "the section", label, " has to be a table, written as [section.name]", nullptr);
            continue;
        }
        const loom_status st = family.add(family.user, borrow(key.str()), &place, &member, why);
        if (st == LOOM_EINVAL) {
            l.complain(key.source(), "the section", label, why, nullptr);
        } else if (st == LOOM_OK) {
            loading inner{member, l.name, l.list, LOOM_OK};
            std::free(member->file);
            member->file = strdup(l.name);
            load_section(inner, family.section, label, *node.as_table());
            l.keep(member->file == nullptr ? LOOM_ENOMEM : inner.result);
        } else {
            l.keep(st);
        }
    }
}

void load_root(loading &l, const toml::table &root)
{
    for (const auto &[key, node] : root) {
        const bool family = l.c->family != nullptr && key.str() == l.c->family->section;
        const bool known = family || config_has_section(l.c, borrow(key.str()));
        if (family && node.is_table()) {
            load_family(l, *l.c->family, *node.as_table());
        } else if (known && node.is_table()) {
            load_section(l, key.str(), key.str(), *node.as_table());
        } else if (known) {
            l.complain(key.source(), "the section", key.str(), " has to be a table, written once as [section]", nullptr);
        } else {
            refuse_stray(l, key, node.is_table() || node.is_array_of_tables());
        }
    }
}

} // namespace

extern "C" loom_status config_load_toml(config *c, const char *name, loom_str text, problems *list)
{
    loading l{c, name, list, LOOM_OK};
    if (text.len > CONFIG_FILE_MAX) {
        problems_add(list, PROBLEM_ERROR, "%s: is over 1 MiB, which no configuration needs", name);
        return LOOM_EINVAL;
    }
    const std::string_view source{text.data != nullptr ? text.data : "", text.len};
    if (count_dots(source) > dots_max) {
        problems_add(list, PROBLEM_ERROR, "%s: has more than %zu dotted keys, which no configuration needs", name, dots_max);
        return LOOM_EINVAL;
    }
    char *copy = strdup(name);
    if (copy == nullptr) {
        return LOOM_ENOMEM;
    }
    std::free(c->file);
    c->file = copy;
    try {
        const toml::table root = toml::parse(source, std::string_view{});
        load_root(l, root);
    } catch (const toml::parse_error &error) {
        const toml::source_position at = error.source().begin;
        problems_add_at(list, PROBLEM_ERROR, at.line, at.column, "%s:%u:%u: %.*s", name, static_cast<unsigned>(at.line),
                        static_cast<unsigned>(at.column), static_cast<int>(error.description().size()),
                        error.description().data());
        l.keep(LOOM_EINVAL);
    } catch (const std::bad_alloc &) {
        l.keep(LOOM_ENOMEM);
    } catch (...) {
        problems_add(list, PROBLEM_ERROR, "%s: cannot be read as TOML", name);
        l.keep(LOOM_EINVAL);
    }
    problems_sort(list);
    return l.result;
}
