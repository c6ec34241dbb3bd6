/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody who looks at the bus meanwhile: `loom view`, and its page. */
#ifndef LOOM_BENCH_LOOKER_H
#define LOOM_BENCH_LOOKER_H

#include "tools/bench/site.h"

/* What the shape asks for, FLOOD_VIEW or FLOOD_VIEW_PAGE, until the site is closed; of anything else nothing. Returns when the
 * page is open. The broker listens at looker_control(). */
bool looker_open(bench_site *site);
void looker_control(const bench_site *site, char out[SITE_URL_SIZE]);

#endif
