/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the control socket as JSON: for `loom` and the HTTP gateway. */
#ifndef LOOM_HOST_CONTROL_ANSWER_H
#define LOOM_HOST_CONTROL_ANSWER_H

#include <jansson.h>

#include <loom/envelope.h>

/* The first value of answer, which is msgpack (envelope/WIRE.md 5.3). bin becomes hex; in text and keys, what
 * is not UTF-8 becomes U+FFFD, since one bad key must not hide a whole list. The caller's.
 * NULL: it is nothing that the control socket says, or there is no memory. */
json_t *control_answer_json(loom_bytes answer);

#endif
