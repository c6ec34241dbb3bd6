/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and structures of arguments, for decode.c. */
#ifndef LOOM_TRACE_PROCESS_DECODE_PARTS_H
#define LOOM_TRACE_PROCESS_DECODE_PARTS_H

#include "trace/process/syscalls/decode.h"

/* Text that lives as long as out; empty when there is no room. */
loom_str decoded_text(decoded *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

void decode_open_flags(decoded *out, uint64_t flags);
/* network.peer.* or network.local.*; part may be NULL. */
void decode_address(decoded *out, const event_part *part, bool local);
void decode_family(decoded *out, int family);
void decode_socket_type(decoded *out, int type);
void decode_signal(decoded *out, int number);
void decode_futex(decoded *out, int operation);
void decode_fcntl(decoded *out, int command);

#endif
