/* SPDX-License-Identifier: Apache-2.0 */
#include "base/percent.h"

#include "base/hex.h"

#include <stdlib.h>
#include <string.h>

/* In place; false: a bad escape. */
static bool decode(char *s)
{
    char *to = s;
    for (; *s != '\0'; s++) {
        if (*s != '%') {
            *to++ = *s;
            continue;
        }
        uint8_t byte;
        if (s[1] == '\0' || !hex_decode_any_case(&byte, s + 1, 1) || byte == 0) {
            return false;
        }
        *to++ = (char)byte;
        s += 2;
    }
    *to = '\0';
    return true;
}

static char *trim(char *s)
{
    s += strspn(s, " \t");
    size_t n = strlen(s);
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t')) {
        s[--n] = '\0';
    }
    return s;
}

/* false: not a pair. */
static bool read_pair(char *pair, char **key, char **value)
{
    *value = strchr(pair, '=');
    if (*value == NULL) {
        return false;
    }
    *(*value)++ = '\0';
    *key = trim(pair);
    *value = trim(*value);
    return decode(*key) && decode(*value) && (*key)[0] != '\0';
}

loom_status percent_pairs(const char *list, bool (*visit)(void *user, const char *key, const char *value), void *user)
{
    return percent_pairs_checked(list, visit, NULL, user);
}

loom_status percent_pairs_checked(const char *list, bool (*visit)(void *user, const char *key, const char *value),
                                  void (*bad)(void *user, loom_str pair), void *user)
{
    if (list == NULL || list[0] == '\0') {
        return LOOM_OK;
    }
    char *copy = strdup(list);
    if (copy == NULL) {
        return LOOM_ENOMEM;
    }
    char *rest = copy;
    for (char *pair = strsep(&rest, ","); pair != NULL; pair = strsep(&rest, ",")) {
        const loom_str text = {list + (pair - copy), strlen(pair)};
        char *key, *value;
        if (read_pair(pair, &key, &value)) {
            if (!visit(user, key, value)) {
                break;
            }
        } else if (bad != NULL && strspn(text.data, " \t") < text.len) {
            bad(user, text);
        }
    }
    free(copy);
    return LOOM_OK;
}
