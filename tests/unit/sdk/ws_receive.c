/* SPDX-License-Identifier: Apache-2.0 */
/* What a WebSocket server sends: the first byte says how the rest is cut into pieces, and whether it is the answer to the
 * upgrade or frames. In place, as the carrier decodes; payload is never longer than what it came in. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sdk-c/link/ws_reader.h"
#include "sdk-c/link/ws_upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_answer(const uint8_t *data, size_t size)
{
    char why[WS_UPGRADE_WHY_SIZE];
    size_t end;
    loom_status st = ws_upgrade_answer((loom_str){(const char *)data, size}, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &end, why);
    assert(st != LOOM_OK || (end >= 4 && end <= size));
    assert(st == LOOM_OK || st == LOOM_EBUSY || strlen(why) > 0);
    (void)st;
}

static void take_frames(const uint8_t *data, size_t size, size_t piece)
{
    ws_reader r;
    const ws_library *lib = ws_library_get();
    if (lib == NULL || ws_reader_init(&r, lib) != LOOM_OK) {
        abort();
    }
    for (size_t at = 0; at < size; at += piece) {
        size_t len = piece < size - at ? piece : size - at;
        uint8_t *buffer = malloc(len);
        if (buffer == NULL) {
            abort();
        }
        memcpy(buffer, data + at, len);
        size_t got = ws_reader_decode(&r, buffer, buffer, len);
        assert(got <= len);
        (void)got;
        free(buffer);
    }
    assert(r.ended == LOOM_OK || strlen(r.why) > 0);
    ws_reader_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    if (data[0] == 0) {
        take_answer(data + 1, size - 1);
    } else {
        take_frames(data + 1, size - 1, data[0] == 255 ? size : data[0]);
    }
    return 0;
}
