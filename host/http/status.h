/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses by name. */
#ifndef LOOM_HOST_HTTP_STATUS_H
#define LOOM_HOST_HTTP_STATUS_H

#include <stdint.h>

/* "Not Found"; "Status" for one that has no name here. Static storage. */
const char *http_status_name(uint16_t status);

#endif
