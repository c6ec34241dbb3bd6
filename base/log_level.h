/* SPDX-License-Identifier: Apache-2.0 */
/* How much a line of the log matters. Code without a log of its own hands its lines to a callback with one of these. */
#ifndef LOOM_BASE_LOG_LEVEL_H
#define LOOM_BASE_LOG_LEVEL_H

typedef enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG } log_level;

#endif
