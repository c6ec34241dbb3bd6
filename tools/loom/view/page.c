/* SPDX-License-Identifier: Apache-2.0 */
/* The page's files lie in the program packed; a client that does not take gzip gets them unpacked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/sha1.h"
#include "base/str.h"
#include "tools/loom/view/assets.h"
#include "tools/loom/view/internal.h"
#include "trace/collect/gunzip.h"

enum { UNPACKED_MAX = 4 * 1024 * 1024 };

static const view_asset_file *find(loom_str name)
{
    for (size_t i = 0; i < view_asset_count; i++) {
        if (str_is(name, view_assets[i].name)) {
            return &view_assets[i];
        }
    }
    return NULL;
}

static bool field_has(const http_request *r, const char *name, const char *word)
{
    const loom_str *field = http_request_field(r, name);
    return field != NULL && memmem(field->data, field->len, word, strlen(word)) != NULL;
}

static void answer_file(http_request *r, const view_asset_file *file)
{
    uint8_t digest[SHA1_SIZE];
    char tag[2 * SHA1_SIZE + 3];
    const loom_bytes packed = {file->begin, (size_t)(file->end - file->begin)};
    sha1(digest, packed.data, packed.len);
    hex_encode(tag + 1, digest, SHA1_SIZE);
    tag[0] = tag[sizeof tag - 2] = '"';
    tag[sizeof tag - 1] = '\0';
    const http_field fields[] = {{"ETag", str_of(tag)}, {"Vary", str_of("Accept-Encoding")}, {"Content-Encoding", str_of("gzip")}};
    if (field_has(r, "If-None-Match", tag)) {
        view_answer(r, 304, NULL, (loom_bytes){0}, fields, 2);
    } else if (field_has(r, "Accept-Encoding", "gzip")) {
        view_answer(r, 200, file->type, packed, fields, 3);
    } else {
        uint8_t *plain = NULL;
        size_t len = 0;
        if (gunzip(&plain, &len, packed, UNPACKED_MAX) != LOOM_OK) {
            view_fail(NULL, r, 503, "out of memory");
            return;
        }
        view_answer(r, 200, file->type, (loom_bytes){plain, len}, fields, 2);
        free(plain);
    }
}

void view_page(void *user, http_request *r)
{
    view *v = user;
    if (view_has_token(v, r)) { /* out of the address bar and the history */
        char cookie[VIEW_COOKIE_SIZE + VIEW_TOKEN_SIZE + 64];
        snprintf(cookie, sizeof cookie, "%s=%s; HttpOnly; SameSite=Strict; Path=/", v->cookie, v->token);
        const http_field fields[] = {{"Set-Cookie", str_of(cookie)}, {"Location", str_of("/")}};
        view_answer(r, 303, NULL, (loom_bytes){0}, fields, 2);
    } else if (view_has_cookie(v, r) || view_has_bearer(v, r)) {
        answer_file(r, find(str_of("index.html")));
    } else {
        static const char text[] = "This page belongs to a `loom view` that prints its URL, with a token, when it starts. Open that URL.\n";
        view_answer(r, 401, "text/plain; charset=utf-8", (loom_bytes){(const uint8_t *)text, sizeof text - 1}, NULL, 0);
    }
}

void view_asset(void *user, http_request *r)
{
    const view_asset_file *file = find(http_request_rest(r));
    if (file == NULL) {
        view_fail(user, r, 404, "there is no such file");
    } else {
        answer_file(r, file);
    }
}
