/* SPDX-License-Identifier: Apache-2.0 */
/* Lists as OTEL_RESOURCE_ATTRIBUTES and OTEL_EXPORTER_OTLP_HEADERS hold them: key=value,key=value, percent-encoded. */
#ifndef LOOM_BASE_PERCENT_H
#define LOOM_BASE_PERCENT_H

#include <loom/status.h>

/* Calls visit with each decoded pair, white space around both trimmed; a false return stops the walk. list may be NULL.
 * A pair without '=', with an empty key, or with a bad or NUL escape is left out, and bad told of it as it stands there;
 * an empty one is left out alone. LOOM_ENOMEM, nothing else. */
loom_status percent_pairs_checked(const char *list, bool (*visit)(void *user, const char *key, const char *value),
                                  void (*bad)(void *user, loom_str pair), void *user);

/* The same for who does not care. */
loom_status percent_pairs(const char *list, bool (*visit)(void *user, const char *key, const char *value), void *user);

#endif
