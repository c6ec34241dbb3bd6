/* SPDX-License-Identifier: Apache-2.0 */
/* Where an agent's link leads when nobody says so. */
#ifndef LOOM_SDK_LINK_URL_H
#define LOOM_SDK_LINK_URL_H

#include "base/url.h"

/* The local broker's: ipc://$XDG_RUNTIME_DIR/loom/loom.sock, else ipc:///tmp/loom-UID/loom.sock. */
void link_url_default(char out[URL_MAX]);

#endif
