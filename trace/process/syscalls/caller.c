/* SPDX-License-Identifier: Apache-2.0 */
/* Unwinding by libdw, from the registers of a thread that is stopped. Of each process its modules are read once, and again
 * when a program counter lies in none of them (dlopen); of each program counter its place is looked up once: most calls of a
 * program come from a few places. */
#include "trace/process/syscalls/caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "trace/process/syscalls/decode.h"
#include "trace/process/syscalls/dw_library.h"

enum { FRAMES_MAX = 32, PLACES_MAX = 4096, REPORTS_MAX = 16, ORIGINS_MAX = 4, FUNCTION_NAME_SIZE = 512 };

typedef struct call_place {
    char *file, *function; /* NULL: unknown */
    uint32_t position[2];  /* line and column; 0: unknown */
} call_place;

typedef struct caller_process {
    Dwfl *dwfl;
    unsigned reports;    /* how often its modules were read */
    number_table places; /* of call_place, by program counter */
} caller_process;

struct caller_finder {
    const dw_library *dw;
    Dwfl_Callbacks callbacks;
    number_table processes; /* of caller_process, by id */
};

/* One walk up the stack. */
typedef struct caller_walk {
    const caller_finder *finder;
    caller_process *process;
    unsigned frames;
    bool unknown_module; /* a frame is in none that we know of */
    const call_place *place; /* of the first frame with debug information, or of the first */
} caller_walk;

caller_finder *caller_finder_create(void)
{
    const dw_library *dw = dw_library_get();
    caller_finder *f = dw != NULL ? calloc(1, sizeof *f) : NULL;
    if (f != NULL) {
        f->dw = dw;
        f->callbacks = (Dwfl_Callbacks){.find_elf = dw->dwfl_linux_proc_find_elf, .find_debuginfo = dw->dwfl_standard_find_debuginfo};
        (void)unsetenv("DEBUGINFOD_URLS"); /* no downloads while a command waits */
    }
    return f;
}

/* ---- processes ---- */

static void forget_places(caller_process *p)
{
    size_t position = 0;
    void *value;
    while (number_table_next(&p->places, &position, &value)) {
        call_place *place = value;
        free(place->file);
        free(place->function);
        free(place);
    }
    number_table_fini(&p->places);
    p->places = (number_table){0};
}

static void close_modules(const caller_finder *f, caller_process *p)
{
    if (p->dwfl != NULL) {
        f->dw->dwfl_end(p->dwfl);
        p->dwfl = NULL;
    }
}

static void read_modules(const caller_finder *f, caller_process *p, pid_t pid)
{
    const dw_library *dw = f->dw;
    close_modules(f, p);
    p->reports++;
    p->dwfl = dw->dwfl_begin(&f->callbacks);
    if (p->dwfl != NULL && (dw->dwfl_linux_proc_report(p->dwfl, pid) != 0 || dw->dwfl_report_end(p->dwfl, NULL, NULL) != 0 ||
                            dw->dwfl_linux_proc_attach(p->dwfl, pid, true) != 0)) {
        close_modules(f, p);
    }
}

static caller_process *process_of(caller_finder *f, pid_t pid)
{
    caller_process *p = number_table_get(&f->processes, (uint64_t)pid);
    if (p == NULL) {
        p = calloc(1, sizeof *p);
        if (p == NULL || number_table_add(&f->processes, (uint64_t)pid, p) != LOOM_OK) {
            free(p);
            return NULL;
        }
        read_modules(f, p, pid);
    }
    return p;
}

void caller_forget(caller_finder *f, pid_t pid)
{
    caller_process *p = f != NULL ? number_table_remove(&f->processes, (uint64_t)pid) : NULL;
    if (p != NULL) {
        close_modules(f, p);
        forget_places(p);
        free(p);
    }
}

/* ---- frames ---- */

/* What makes a call on behalf of somebody else: the C library and the dynamic linker. */
static bool is_library_of_c(const char *module)
{
    static const char *const names[] = {"libc.so", "libc-", "libpthread", "ld-linux", "ld-2", "ld-musl", "libc.musl", "librt", "libdl", "linux-vdso", "[vdso"};
    const loom_str base = decode_basename(str_of(module));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const size_t len = strlen(names[i]);
        if (base.len >= len && memcmp(base.data, names[i], len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_function(int tag)
{
    return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

/* The declaration of a function that is defined, or of one that is inlined here. */
static bool find_origin(const dw_library *dw, Dwarf_Die *die, Dwarf_Die *origin)
{
    Dwarf_Attribute attr;
    return (dw->dwarf_attr(die, DW_AT_abstract_origin, &attr) != NULL || dw->dwarf_attr(die, DW_AT_specification, &attr) != NULL) &&
           dw->dwarf_formref_die(&attr, origin) != NULL;
}

static bool has_members(int tag)
{
    return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
           tag == DW_TAG_union_type || tag == DW_TAG_subprogram;
}

/* "app::Config::load", as the convention for code.function.name has it. On the heap; NULL: it has no name, or no memory. */
static char *full_name(const dw_library *dw, Dwarf_Die die)
{
    Dwarf_Die origin, *scopes = NULL;
    char text[FUNCTION_NAME_SIZE] = "";
    size_t len = 0;
    for (int i = 0; i < ORIGINS_MAX && find_origin(dw, &die, &origin); i++) {
        die = origin;
    }
    const char *own = dw->dwarf_diename(&die);
    const int count = own != NULL ? dw->dwarf_getscopes_die(&die, &scopes) : 0;
    for (int i = count - 1; i > 0; i--) { /* the outermost is last, and the function itself first */
        const int tag = dw->dwarf_tag(&scopes[i]);
        const char *name = dw->dwarf_diename(&scopes[i]);
        name = name == NULL && tag == DW_TAG_namespace ? "(anonymous namespace)" : name;
        if (has_members(tag) && name != NULL && len < sizeof text) {
            len += (size_t)snprintf(text + len, sizeof text - len, "%s::", name);
        }
    }
    free(scopes);
    if (own == NULL || len >= sizeof text) {
        return own != NULL ? strdup(own) : NULL;
    }
    char *whole = NULL;
    return asprintf(&whole, "%s%s", text, own) >= 0 ? whole : NULL;
}

/* The innermost function at a program counter, as the source has it: the symbol would be the function it was inlined into,
 * a clone ("open_file.constprop.0"), or mangled. On the heap. NULL: no debug information. */
static char *source_function(const dw_library *dw, Dwfl_Module *module, Dwarf_Addr pc)
{
    Dwarf_Addr bias = 0;
    Dwarf_Die *unit = dw->dwfl_module_addrdie(module, pc, &bias), *scopes = NULL;
    const int count = unit != NULL ? dw->dwarf_getscopes(unit, pc - bias, &scopes) : 0;
    char *name = NULL;
    for (int i = 0; i < count; i++) {
        if (is_function(dw->dwarf_tag(&scopes[i]))) {
            name = full_name(dw, scopes[i]);
            break;
        }
    }
    free(scopes);
    return name;
}

static call_place *look_up(const caller_walk *w, Dwfl_Module *module, Dwarf_Addr pc)
{
    const dw_library *dw = w->finder->dw;
    call_place *place = calloc(1, sizeof *place);
    int line = 0, column = 0;
    if (place == NULL) {
        return NULL;
    }
    Dwfl_Line *found = dw->dwfl_module_getsrc(module, pc);
    const char *file = found != NULL ? dw->dwfl_lineinfo(found, NULL, &line, &column, NULL, NULL) : NULL;
    char *function = source_function(dw, module, pc);
    const char *symbol = function == NULL ? dw->dwfl_module_addrname(module, pc) : NULL;
    place->file = file != NULL ? strdup(file) : NULL;
    place->function = symbol != NULL ? strdup(symbol) : function;
    place->position[0] = line > 0 ? (uint32_t)line : 0;
    place->position[1] = column > 0 ? (uint32_t)column : 0;
    return place;
}

static const call_place *place_of(caller_walk *w, Dwfl_Module *module, Dwarf_Addr pc)
{
    caller_process *p = w->process;
    call_place *place = number_table_get(&p->places, pc);
    if (place != NULL) {
        return place;
    }
    if (p->places.count >= PLACES_MAX) { /* code that is made at run time */
        forget_places(p);
        w->place = NULL;
    }
    place = look_up(w, module, pc);
    if (place != NULL && number_table_add(&p->places, pc, place) != LOOM_OK) {
        free(place->file);
        free(place->function);
        free(place);
        return NULL;
    }
    return place;
}

static int on_frame(Dwfl_Frame *frame, void *user)
{
    caller_walk *w = user;
    const dw_library *dw = w->finder->dw;
    Dwarf_Addr pc;
    bool activation;
    if (++w->frames > FRAMES_MAX || !dw->dwfl_frame_pc(frame, &pc, &activation)) {
        return DWARF_CB_ABORT;
    }
    pc -= activation ? 0 : 1; /* a return address: the call is before it */
    Dwfl_Module *module = dw->dwfl_addrmodule(w->process->dwfl, pc);
    if (module == NULL) {
        w->unknown_module = true;
        return DWARF_CB_ABORT;
    }
    const char *name = dw->dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    if (name != NULL && is_library_of_c(name)) {
        return DWARF_CB_OK;
    }
    const call_place *place = place_of(w, module, pc);
    const bool found = place != NULL && place->file != NULL; /* else one that called it may have debug information */
    w->place = found || w->place == NULL ? place : w->place;
    return found ? DWARF_CB_ABORT : DWARF_CB_OK;
}

static void walk(caller_walk *w, pid_t tid)
{
    w->frames = 0;
    w->unknown_module = false;
    if (w->process->dwfl != NULL) {
        (void)w->finder->dw->dwfl_getthread_frames(w->process->dwfl, tid, on_frame, w);
    }
}

void caller_find(caller_finder *f, tracee *e)
{
    caller_walk w = {.finder = f, .process = process_of(f, e->pid)};
    if (w.process == NULL) {
        return;
    }
    walk(&w, e->tid);
    if (w.unknown_module && w.process->reports < REPORTS_MAX) {
        read_modules(f, w.process, e->pid);
        walk(&w, e->tid);
    }
    if (w.place == NULL) {
        return;
    }
    if (w.place->file != NULL) {
        tracee_put(e, PART_FILE, 0, w.place->file, strnlen(w.place->file, EVENT_TEXT_MAX));
        tracee_put(e, PART_LINE, 0, w.place->position, sizeof w.place->position);
    }
    if (w.place->function != NULL) {
        tracee_put(e, PART_FUNCTION, 0, w.place->function, strnlen(w.place->function, EVENT_TEXT_MAX));
    }
}
