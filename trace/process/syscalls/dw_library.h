/* SPDX-License-Identifier: Apache-2.0 */
/* libdw of elfutils, loaded when callers are first looked for. Never unloaded. Any thread. */
#ifndef LOOM_TRACE_PROCESS_DW_LIBRARY_H
#define LOOM_TRACE_PROCESS_DW_LIBRARY_H

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#define DW_LIBRARY_MAP(X)                                                                                                   \
    X(dwfl_begin) X(dwfl_end) X(dwfl_report_end) X(dwfl_linux_proc_report) X(dwfl_linux_proc_attach)                        \
    X(dwfl_linux_proc_find_elf) X(dwfl_standard_find_debuginfo) X(dwfl_getthread_frames) X(dwfl_frame_pc)                   \
    X(dwfl_addrmodule) X(dwfl_module_info) X(dwfl_module_addrname) X(dwfl_module_getsrc) X(dwfl_lineinfo)                   \
    X(dwfl_module_addrdie) X(dwarf_getscopes) X(dwarf_getscopes_die) X(dwarf_tag) X(dwarf_attr) X(dwarf_formref_die)          \
    X(dwarf_diename)

typedef struct dw_library {
#define X(name) __typeof__(&name) name;
    DW_LIBRARY_MAP(X)
#undef X
} dw_library;

/* NULL: there is none; dw_library_problem() says so. */
const dw_library *dw_library_get(void);
const char *dw_library_problem(void); /* after a NULL; static storage */

#endif
