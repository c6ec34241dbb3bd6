/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/process/syscalls/table.h"

#include "trace/process/syscalls/table_rows.h"

const syscall_spec syscall_specs[] = {
#define X(name, classes, args, quiet) {#name, classes, args, QUIET_##quiet},
    SYSCALL_TABLE(X)
#undef X
};
const size_t syscall_spec_count = sizeof syscall_specs / sizeof syscall_specs[0];
_Static_assert(sizeof syscall_specs / sizeof syscall_specs[0] <= SYSCALL_SPECS_MAX, "make room for more calls");

const syscall_class syscall_classes[] = {
    {"file", "F"},   {"network", "N"}, {"net", "N"},    {"process", "P"}, {"desc", "D"},    {"memory", "M"},  {"signal", "S"},
    {"ipc", "I"},    {"creds", "C"},   {"clock", "K"},  {"stat", "t"},    {"lstat", "l"},   {"fstat", "h"},   {"statfs", "v"},
    {"pure", "u"},   {"default", "*"}, {"%stat", "tlh"}, {"%statfs", "v"},
};
const size_t syscall_class_count = sizeof syscall_classes / sizeof syscall_classes[0];
