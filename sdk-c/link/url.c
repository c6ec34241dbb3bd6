/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk-c/link/url.h"

#include <assert.h>

#include "base/runtime_dir.h"

void link_url_default(char out[URL_MAX])
{
    loom_status st = paths_runtime_url(out, URL_MAX, "loom.sock");
    assert(st == LOOM_OK); /* a runtime directory is short */
    (void)st;
}
