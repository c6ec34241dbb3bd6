/* SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptors.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

enum { RESERVE = 64 /* of which bridges leave half, and control a quarter */, SHARE_MIN = 4, TRIED_MAX = 16 };

int descriptors_all(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX ? INT_MAX : (int)limit.rlim_cur;
}

int descriptors_limit(descriptor_use use)
{
    int all = descriptors_all();
    int reserve = all / 4 < RESERVE ? all / 4 : RESERVE;
    if (all == INT_MAX) {
        return INT_MAX;
    }
    switch (use) {
    case DESCRIPTORS_AGENTS: return all - reserve;
    case DESCRIPTORS_BRIDGES: return all - reserve / 2;
    case DESCRIPTORS_CONTROL: return all - reserve / 4;
    case DESCRIPTORS_METRICS: return all - reserve / 8;
    }
    return all;
}

uint32_t descriptors_share(uint32_t wanted, uint32_t part)
{
    uint32_t share = (uint32_t)descriptors_all() / part;
    share = share < SHARE_MIN ? SHARE_MIN : share;
    return wanted < share ? wanted : share;
}

bool descriptors_free(unsigned count)
{
    int opened[TRIED_MAX];
    unsigned got = 0;
    while (got < count && got < TRIED_MAX && (opened[got] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        got++;
    }
    for (unsigned i = 0; i < got; i++) {
        close(opened[i]);
    }
    return got >= count;
}

static void close_from_to(int first, int last)
{
    if (first <= last) {
        (void)close_range((unsigned)first, (unsigned)last, 0);
    }
}

void descriptors_close_others(int first, int a, int b)
{
    const int low = a < b ? a : b, high = a < b ? b : a;
    close_from_to(first, low - 1);
    close_from_to(low >= first ? low + 1 : first, high - 1);
    close_from_to(high >= first ? high + 1 : first, INT_MAX);
}

bool descriptors_move_below(int *fd, int limit)
{
    const int low = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
    const bool below = low >= 0 && low < limit;
    if (low >= 0) {
        close(below ? *fd : low);
    }
    *fd = below ? low : *fd;
    return below;
}
