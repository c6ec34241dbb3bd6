/* SPDX-License-Identifier: Apache-2.0 */
/* The files of page/, as they are compiled into the program: packed with gzip. The table is made by assets.cmake. */
#ifndef LOOM_TOOLS_VIEW_ASSETS_H
#define LOOM_TOOLS_VIEW_ASSETS_H

#include <loom/api.h>

typedef struct view_asset_file {
    const char *name; /* "app.js" */
    const char *type; /* of its content */
    const uint8_t *begin, *end;
} view_asset_file;

extern const view_asset_file view_assets[];
extern const size_t view_asset_count;

#endif
