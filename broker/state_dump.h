/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's part of SIGUSR2: memory by owner, the longest queues, calls that run. */
#ifndef LOOM_BROKER_STATE_DUMP_H
#define LOOM_BROKER_STATE_DUMP_H

#include "broker/port/port.h"
#include "host/log/log.h"

void broker_dump(const broker_cores *cores, logger *log);

#endif
