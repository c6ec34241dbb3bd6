/* SPDX-License-Identifier: Apache-2.0 */
/* What a subscriber wants to happen when it is slower than its publishers. Chosen per subscription. */
#ifndef LOOM_QOS_H
#define LOOM_QOS_H

#include <loom/api.h>

/* Values travel on the wire: append, never renumber. */
typedef enum loom_qos {
    LOOM_QOS_BATCHED = 0,   /* the default: a full queue pushes back on publishers up to a deadline, then drops the newest */
    LOOM_QOS_REALTIME = 1,  /* a full queue drops its oldest message; publishers never wait */
    LOOM_QOS_BACKGROUND = 2 /* like batched, with a larger queue, and served after the other two */
} loom_qos;

#define LOOM_QOS_COUNT 3

#endif
