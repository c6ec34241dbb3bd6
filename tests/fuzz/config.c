/* SPDX-License-Identifier: Apache-2.0 */
/* loom.toml from anywhere: whatever the bytes are, the loader answers with a status and keeps to its bounds. */
#include "host/config/settings.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sections[] = {"broker", "bridge", "telemetry", "log", "agent", NULL};
    settings s;
    problems list;
    if (settings_init(&s) != LOOM_OK) {
        return 0;
    }
    problems_init(&list);
    loom_status st = config_load_toml(&s.config, "loom.toml", (loom_str){(const char *)data, size}, &list);
    assert((st == LOOM_OK) == (list.errors == 0) || st == LOOM_ENOMEM);
    assert(list.count <= PROBLEMS_MAX && list.count + list.omitted >= list.errors);

    /* what was accepted prints as a file that is accepted */
    if (st == LOOM_OK) {
        char *text = NULL;
        size_t length = 0;
        FILE *out = open_memstream(&text, &length);
        if (out != NULL) {
            settings_print(&s, sections, false, out);
            fclose(out);
            st = config_load_toml(&s.config, "again", (loom_str){text, length}, &list);
            assert(st == LOOM_OK || st == LOOM_ENOMEM);
            free(text);
        }
    }
    settings_fini(&s);
    return 0;
}
