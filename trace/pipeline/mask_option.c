/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets on command lines: --password x, -token "x", and the letters that some programs use for a password. */
#include "trace/pipeline/mask_scan.h"

#include "base/str.h"

#define NAME_MAX 64u
#define BLANKS_MAX 8u

static const struct {
    const char *name;
    mask_program program;
} programs[] = {
    {"mysql", PROGRAM_MYSQL},      {"mysqldump", PROGRAM_MYSQL}, {"mysqladmin", PROGRAM_MYSQL}, {"mysqlimport", PROGRAM_MYSQL},
    {"mariadb", PROGRAM_MYSQL},    {"login", PROGRAM_LOGIN},     {"sshpass", PROGRAM_SSHPASS},  {"cli", PROGRAM_REDIS},
    {"curl", PROGRAM_CURL},        {"ldapsearch", PROGRAM_LDAP}, {"ldapadd", PROGRAM_LDAP},     {"ldapmodify", PROGRAM_LDAP},
    {"mongo", PROGRAM_MONGO},      {"mongosh", PROGRAM_MONGO},   {"mongodump", PROGRAM_MONGO},  {"mongorestore", PROGRAM_MONGO},
    {"sqlcmd", PROGRAM_SQLCMD},
};

/* How the value of an option is written. */
enum { SEPARATE = 1, JOINED = 2, USER = 4 /* user:password */ };

static const struct {
    mask_program program;
    const char *option;
    unsigned written;
} options[] = {
    {PROGRAM_MYSQL, "p", JOINED},           {PROGRAM_LOGIN, "p", SEPARATE},          {PROGRAM_SSHPASS, "p", SEPARATE | JOINED},
    {PROGRAM_REDIS, "a", SEPARATE},         {PROGRAM_CURL, "u", SEPARATE | USER},    {PROGRAM_CURL, "U", SEPARATE | USER},
    {PROGRAM_CURL, "user", SEPARATE | USER}, {PROGRAM_CURL, "proxy-user", SEPARATE | USER}, {PROGRAM_LDAP, "w", SEPARATE},
    {PROGRAM_MONGO, "p", SEPARATE},         {PROGRAM_SQLCMD, "P", SEPARATE | JOINED},
};

mask_program mask_program_named(loom_str word)
{
    if (word.len < 3 || strchr("mlsc", word.data[0]) == NULL) { /* what they begin with */
        return PROGRAM_NONE;
    }
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        if (word.data[0] == programs[i].name[0] && str_is(word, programs[i].name)) {
            return programs[i].program;
        }
    }
    return PROGRAM_NONE;
}

static bool of_option(char c)
{
    return is_plain_word(c) || c == '-' || c == '.';
}

bool mask_is_option(loom_str name)
{
    return name.len > 2 && name.data[0] == '-';
}

/* The value behind the blanks, unless another option or a word of a sentence stands there. */
static mask_hit separate_value(loom_str text, size_t from)
{
    const size_t most = text.len - from < BLANKS_MAX ? text.len : from + BLANKS_MAX;
    const size_t blanks = run_of((loom_str){text.data, most}, from, str_is_space), value = from + blanks;
    return blanks == 0 || char_at(text, value) == '-' || mask_is_prose(text, value) ? (mask_hit){0} : mask_value(text, value, VALUE_PLAIN);
}

static mask_hit password_of_user(loom_str text, mask_hit user)
{
    const char *colon = user.to > user.from ? memchr(text.data + user.from, ':', user.to - user.from) : NULL;
    const size_t from = colon != NULL ? (size_t)(colon - text.data) + 1 : user.to;
    return from < user.to ? (mask_hit){from, user.to, MASKED} : (mask_hit){0};
}

static mask_hit option_of_program(const mask_place *p, loom_str name)
{
    const size_t begin = (size_t)(name.data - p->text.data);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const size_t n = strlen(options[i].option);
        if (options[i].program != p->program || name.len < n || memcmp(name.data, options[i].option, n) != 0) {
            continue;
        }
        if (name.len == n && (options[i].written & SEPARATE) != 0) {
            const mask_hit hit = separate_value(p->text, begin + n);
            return (options[i].written & USER) != 0 ? password_of_user(p->text, hit) : hit;
        }
        if ((options[i].written & JOINED) != 0 && p->text.data[begin - 2] != '-' && !str_is_space(char_at(p->text, begin + n))) {
            return mask_value(p->text, begin + n, VALUE_PLAIN);
        }
    }
    return (mask_hit){0};
}

mask_hit mask_option(const mask_place *p)
{
    const loom_str text = p->text;
    const char before = p->at > 0 ? text.data[p->at - 1] : ' ';
    if (before == '-' || is_word(before)) {
        return (mask_hit){0};
    }
    const size_t begin = p->at + (char_at(text, p->at + 1) == '-' ? 2 : 1);
    const size_t most = text.len - begin < NAME_MAX ? text.len : begin + NAME_MAX;
    const loom_str name = {text.data + begin, begin < text.len ? run_of((loom_str){text.data, most}, begin, of_option) : 0};
    if (name.len == 0) {
        return (mask_hit){0};
    }
    const mask_hit hit = p->program != PROGRAM_NONE ? option_of_program(p, name) : (mask_hit){0};
    if (hit.to > 0) {
        return hit;
    }
    const bool negated = name.len > 3 && memcmp(name.data, "no-", 3) == 0;
    const bool secret = !negated && name.len > 2 && (mask_pair_key(p->rules, name) || mask_pass_key(p->rules, name));
    return secret ? separate_value(text, begin + name.len) : (mask_hit){0};
}

bool mask_secret_option(const mask_rules *rules, loom_str argument)
{
    const size_t dashes = argument.len > 2 && argument.data[0] == '-' ? (argument.data[1] == '-' ? 2 : 1) : 0;
    const loom_str name = str_tail(argument, dashes);
    return dashes > 0 && name.len > 1 && run_of(name, 0, of_option) == name.len && mask_pair_key(rules, name);
}
