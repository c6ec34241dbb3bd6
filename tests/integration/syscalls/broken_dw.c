/* SPDX-License-Identifier: Apache-2.0 */
/* A libdw that does not survive the first program it looks at: LOOM_TEST_CRASH says how it ends. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned exhaust_stack(unsigned depth)
{
    volatile char frame[4096];
    frame[depth % sizeof frame] = 1;
    return depth == UINT32_MAX ? 0 : exhaust_stack(depth + 1) + (unsigned)frame[depth % sizeof frame];
}

static void break_down(void)
{
    const char *how = getenv("LOOM_TEST_CRASH");
    if (how == NULL || strcmp(how, "segv") == 0) {
        volatile int *volatile nowhere = (volatile int *)(uintptr_t)8; /* the compiler is not to know */
        *nowhere = 0;
    } else if (strcmp(how, "abort") == 0) {
        abort();
    } else if (strcmp(how, "stack") == 0) {
        (void)exhaust_stack(0);
    } else {
        for (;;) {
            pause();
        }
    }
}

/* All that Loom looks for; the first that it calls is enough. */
#define FUNCTIONS(X)                                                                                                        \
    X(dwfl_begin) X(dwfl_end) X(dwfl_report_end) X(dwfl_linux_proc_report) X(dwfl_linux_proc_attach)                        \
    X(dwfl_linux_proc_find_elf) X(dwfl_standard_find_debuginfo) X(dwfl_getthread_frames) X(dwfl_frame_pc)                   \
    X(dwfl_addrmodule) X(dwfl_module_info) X(dwfl_module_addrname) X(dwfl_module_getsrc) X(dwfl_lineinfo)                   \
    X(dwfl_module_addrdie) X(dwarf_getscopes) X(dwarf_getscopes_die) X(dwarf_tag) X(dwarf_attr) X(dwarf_formref_die)          \
    X(dwarf_diename)

#define X(name)                                                  \
    __attribute__((visibility("default"))) void name(void);      \
    void name(void)                                              \
    {                                                            \
        break_down();                                            \
    }
FUNCTIONS(X)
