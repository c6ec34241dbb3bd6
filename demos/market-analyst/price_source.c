/* SPDX-License-Identifier: Apache-2.0 */
#include "demos/market-analyst/price_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *symbol;
    double price;
} start[PRICE_SYMBOLS] = {{"ACME", 100.0}, {"GLOBEX", 42.0}, {"INITECH", 7.5}};

/* splitmix64: a few lines, and the same everywhere. */
static uint64_t next_random(price_source *s)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static price_result bad_line(const price_source *s, const char *what)
{
    fprintf(stderr, "data: %s, line %lu: %s\n", s->path, s->line, what);
    return PRICE_BAD;
}

price_result price_source_open(price_source *s, const char *path, uint64_t seed)
{
    *s = (price_source){.path = path, .random = seed};
    for (unsigned i = 0; i < PRICE_SYMBOLS; i++) {
        s->prices[i] = start[i].price;
    }
    if (path == NULL) {
        return PRICE_OK;
    }
    s->csv = fopen(path, "re");
    if (s->csv == NULL) {
        fprintf(stderr, "data: %s: %s\n", path, strerror(errno));
        return PRICE_BAD;
    }
    char line[PRICE_LINE_SIZE];
    s->line = 1;
    if (fgets(line, sizeof line, s->csv) == NULL || strncmp(line, "symbol,price", 12) != 0) {
        return bad_line(s, "the first line has to be: symbol,price");
    }
    return PRICE_OK;
}

/* A step of up to one percent, up or down. */
static price_result simulate(price_source *s, char symbol[PRICE_SYMBOL_SIZE], double *price)
{
    unsigned which = s->next++ % PRICE_SYMBOLS;
    double step = (double)(next_random(s) >> 11) / 9007199254740992.0 * 2 - 1;
    s->prices[which] *= 1 + step / 100;
    snprintf(symbol, PRICE_SYMBOL_SIZE, "%s", start[which].symbol);
    *price = s->prices[which];
    return PRICE_OK;
}

static price_result replay(price_source *s, char symbol[PRICE_SYMBOL_SIZE], double *price)
{
    char line[PRICE_LINE_SIZE];
    do {
        s->line++;
        if (fgets(line, sizeof line, s->csv) == NULL) {
            return ferror(s->csv) ? bad_line(s, strerror(errno)) : PRICE_END;
        }
    } while (line[strspn(line, " \r\n")] == '\0');
    size_t len = strcspn(line, ",");
    if (line[len] != ',' || len == 0 || len >= PRICE_SYMBOL_SIZE || strcspn(line, ". *>\t") < len) {
        return bad_line(s, "a symbol of 1 to 15 characters, without dots and spaces, and a price were expected");
    }
    char *end;
    errno = 0;
    *price = strtod(line + len + 1, &end);
    if (errno != 0 || end == line + len + 1 || end[strspn(end, " \r\n")] != '\0' || !(*price > 0 && *price < 1e12)) {
        return bad_line(s, "the price has to be a number above 0");
    }
    memcpy(symbol, line, len);
    symbol[len] = '\0';
    return PRICE_OK;
}

price_result price_source_next(price_source *s, char symbol[PRICE_SYMBOL_SIZE], double *price)
{
    return s->csv != NULL ? replay(s, symbol, price) : simulate(s, symbol, price);
}

void price_source_close(price_source *s)
{
    if (s->csv != NULL) {
        fclose(s->csv);
    }
}
