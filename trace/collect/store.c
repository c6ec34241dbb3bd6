/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/collect/store_internal.h"

#include <errno.h>
#include <limits.h>
#include <loom/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define BUSY_TIMEOUT_MS 5000
#define WRITE_TIMEOUT_MS 250     /* for another writer; then the exporter is told to try again */
#define PROGRESS_STEPS 1000     /* of SQLite, some microseconds */
#define CACHE_KIB "16384"        /* the span ids of the traces that grow just now */
#define CHECKPOINT_PAGES "4096"  /* of 4 KiB: the write-ahead log grows to 16 MiB before it is written back */

static const char *const write_sql[WRITE_COUNT] = {
    [WRITE_BEGIN] = "BEGIN IMMEDIATE",
    [WRITE_COMMIT] = "COMMIT",
    [WRITE_ROLLBACK] = "ROLLBACK",
    [WRITE_LAST_NUMBER] = "SELECT max(number) FROM traces",
    [WRITE_FIND_TRACE] = "SELECT number FROM traces WHERE trace_id = ?1",
    [WRITE_NEW_TRACE] = "INSERT INTO traces VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [WRITE_MORE_OF_TRACE] = "UPDATE traces SET start = min(start, ?3), spans = spans + ?4, finish = max(finish, ?5), errors = errors + ?6 WHERE number = ?1",
    [WRITE_SPAN_ID] = "INSERT INTO span_ids VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [WRITE_BLOCK] = "INSERT INTO blocks VALUES (?1, ?2, ?3)",
    [WRITE_LINK] = "INSERT INTO links VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [WRITE_OLDEST] = "SELECT number, spans, start FROM traces ORDER BY start LIMIT 1",
    [WRITE_USED_PAGES] = "SELECT page_count - freelist_count FROM pragma_page_count(), pragma_freelist_count()",
    [WRITE_DROP_IDS] = "DELETE FROM span_ids WHERE trace = ?1",
    [WRITE_DROP_BLOCKS] = "DELETE FROM blocks WHERE trace = ?1",
    [WRITE_DROP_LINKS] = "DELETE FROM links WHERE trace = ?1",
    [WRITE_DROP_LOGS] = "DELETE FROM logs WHERE trace_id = (SELECT trace_id FROM traces WHERE number = ?1)",
    [WRITE_LOG] = ("INSERT INTO logs (trace_id, time, service, record) SELECT ?1, ?2, ?3, ?4"
                   " WHERE NOT EXISTS (SELECT 1 FROM logs WHERE trace_id = ?1 AND time = ?2 AND record = ?4)"),
    [WRITE_FORGET_LOGS] = "DELETE FROM logs WHERE number <= (SELECT max(number) FROM logs) - ?1",
    [WRITE_DROP_TRACE] = "DELETE FROM traces WHERE number = ?1",
};

loom_status store_status(int sqlite_code)
{
    switch (sqlite_code & 0xff) { /* the primary code of an extended one */
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return LOOM_OK;
    case SQLITE_NOMEM:
        return LOOM_ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return LOOM_EBUSY;
    case SQLITE_TOOBIG:
        return LOOM_ETOOBIG;
    case SQLITE_INTERRUPT: /* by on_progress() */
        return LOOM_ETIMEDOUT;
    default:
        return LOOM_EIO;
    }
}

loom_status store_prepare(store *s, sqlite3_stmt **out, const char *sql)
{
    return store_status(sqlite3_prepare_v2(s->db, sql, -1, out, NULL));
}

int store_bind_bytes(sqlite3_stmt *stmt, int index, loom_bytes bytes)
{
    return bytes.len == 0 ? sqlite3_bind_zeroblob(stmt, index, 0)
                          : sqlite3_bind_blob64(stmt, index, bytes.data, bytes.len, SQLITE_STATIC);
}

int store_bind_str(sqlite3_stmt *stmt, int index, loom_str text)
{
    return sqlite3_bind_text64(stmt, index, text.len == 0 ? "" : text.data, text.len, SQLITE_STATIC, SQLITE_UTF8);
}

sqlite3_int64 store_time(uint64_t unix_ns)
{
    return unix_ns > INT64_MAX ? INT64_MAX : (sqlite3_int64)unix_ns;
}

const char *store_problem(store *s)
{
    const int code = sqlite3_errcode(s->db), error = sqlite3_system_errno(s->db);
    if ((code == SQLITE_IOERR || code == SQLITE_CANTOPEN || code == SQLITE_FULL) && error != 0) {
        snprintf(s->problem, sizeof s->problem, "%s (%s)", sqlite3_errmsg(s->db), strerror(error));
        return s->problem;
    }
    return sqlite3_errmsg(s->db);
}

/* ---- budgets ---- */

bool store_is_over_budget(const store *s)
{
    return (s->stop != NULL && atomic_load_explicit(s->stop, memory_order_relaxed)) || (s->deadline_ns > 0 && clock_monotonic_ns() > s->deadline_ns);
}

static int on_progress(void *user)
{
    return store_is_over_budget(user);
}

void store_set_budget(store *s, uint32_t ms, const atomic_bool *stop)
{
    s->deadline_ns = ms > 0 ? clock_monotonic_ns() + (uint64_t)ms * 1000000u : 0;
    s->stop = stop;
    sqlite3_progress_handler(s->db, PROGRESS_STEPS, ms > 0 || stop != NULL ? on_progress : NULL, s);
}

/* ---- opening ---- */

loom_status store_version(store *s, uint64_t *version)
{
    return store_read_number(s, "PRAGMA data_version", version);
}

static loom_status set_up_writer(store *s)
{
    if (sqlite3_db_readonly(s->db, "main") == 1) { /* which SQLite says of each write, later */
        return LOOM_EDENIED;
    }
    /* The log makes NORMAL safe against a crash of the process; a crash of the system may cost the last commits, which
     * is right for traces. */
    loom_status st = store_exec(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -" CACHE_KIB
                             "; PRAGMA wal_autocheckpoint = " CHECKPOINT_PAGES ";");
    if (st == LOOM_OK) {
        st = store_exec(s, "BEGIN IMMEDIATE"); /* two collectors started at once make the tables only once */
    }
    if (st != LOOM_OK) {
        return st;
    }
    st = store_schema_make(s);
    loom_status ended = store_exec(s, st == LOOM_OK ? "COMMIT" : "ROLLBACK");
    st = st != LOOM_OK ? st : ended;
    for (size_t i = 0; i < WRITE_COUNT && st == LOOM_OK; i++) {
        st = store_status(sqlite3_prepare_v3(s->db, write_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->write[i], NULL));
    }
    return st;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Whether a file could be made at path; if not, errno says why. SQLite tries again to read one that it may not make, and then
 * only knows that there is none. */
static bool can_make(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path), slash == NULL ? "." : path);
    return access(path, F_OK) == 0 || access(folder, W_OK | X_OK) == 0;
}

/* Why the file cannot be opened, and what to do. */
static void explain(char problem[STORE_PROBLEM_SIZE], store *s, const char *path, loom_status st)
{
    const int code = s != NULL && s->db != NULL ? sqlite3_errcode(s->db) : SQLITE_OK;
    if (is_folder(path)) {
        snprintf(problem, STORE_PROBLEM_SIZE, "%s is a folder: name a file in it", path);
    } else if (st == LOOM_EVERSION) {
        snprintf(problem, STORE_PROBLEM_SIZE, "%s is not a trace database of this version of Loom: `loom trace collect` or `loom view` bring an older one up to "
                 "date; otherwise move it away or name another one", path);
    } else if (code == SQLITE_NOTADB) {
        snprintf(problem, STORE_PROBLEM_SIZE, "%s is not a trace database, nor any other of SQLite: move it away or name another one", path);
    } else if (st == LOOM_EDENIED) {
        snprintf(problem, STORE_PROBLEM_SIZE, "the trace database %s cannot be written to: change its permissions or name another one", path);
    } else if (code == SQLITE_CANTOPEN && !can_make(path)) {
        snprintf(problem, STORE_PROBLEM_SIZE, "cannot make the trace database %s: %s", path, strerror(errno));
    } else {
        snprintf(problem, STORE_PROBLEM_SIZE, "cannot open the trace database %s: %s", path,
                 s != NULL && s->db != NULL ? store_problem(s) : loom_status_text(st));
    }
}

static loom_status open_file(store **out, const char *path, int flags, char problem[STORE_PROBLEM_SIZE])
{
    *out = NULL;
    store *s = calloc(1, sizeof *s);
    loom_status st = LOOM_ENOMEM;
    if (s != NULL) {
        st = store_status(sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL));
    }
    if (st == LOOM_OK) {
        st = store_add_functions(s);
    }
    if (st != LOOM_OK) {
        explain(problem, s, path, st);
        store_close(s);
        return st;
    }
    sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
    *out = s;
    return LOOM_OK;
}

static loom_status give_up(store **out, const char *path, loom_status st, char problem[STORE_PROBLEM_SIZE])
{
    explain(problem, *out, path, st);
    store_close(*out);
    *out = NULL;
    return st;
}

/* As mkdir -p: on a fresh account even ~/.local is missing. */
static void make_folders(const char *path)
{
    if (path[0] == '\0') {
        return;
    }
    char *folder = strdup(path);
    if (folder == NULL) {
        return;
    }
    for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700); /* a failure shows when the file cannot be made */
        *slash = '/';
    }
    free(folder);
}

static loom_status count_rows(store *s)
{
    loom_status st = store_read_number(s, "SELECT coalesce(sum(spans), 0) FROM traces", &s->span_count);
    st = st != LOOM_OK ? st : store_read_number(s, "SELECT count(*) FROM traces", &s->trace_count);
    return st != LOOM_OK ? st : store_read_number(s, "PRAGMA page_size", &s->page_size);
}

loom_status store_open_writer(store **out, const char *path, const store_retention *keep, char problem[STORE_PROBLEM_SIZE])
{
    make_folders(path);
    loom_status st = open_file(out, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, problem);
    if (st != LOOM_OK) {
        return st;
    }
    (*out)->retention = *keep;
    digest_init(&(*out)->digest);
    (*out)->slice = malloc(sizeof *(*out)->slice);
    st = (*out)->slice == NULL ? LOOM_ENOMEM : set_up_writer(*out);
    if (st == LOOM_OK) {
        st = count_rows(*out);
    }
    if (st == LOOM_OK) { /* from here on somebody waits for each write, on a loop */
        sqlite3_busy_timeout((*out)->db, WRITE_TIMEOUT_MS);
    }
    return st == LOOM_OK ? st : give_up(out, path, st, problem);
}

loom_status store_open_reader(store **out, const char *path, char problem[STORE_PROBLEM_SIZE])
{
    struct stat info;
    *out = NULL;
    if (stat(path, &info) != 0 && errno == ENOENT) {
        snprintf(problem, STORE_PROBLEM_SIZE, "there is no trace database %s; `loom trace collect` makes it", path);
        return LOOM_ENOTFOUND;
    }
    loom_status st = open_file(out, path, SQLITE_OPEN_READONLY, problem);
    if (st != LOOM_OK) {
        return st;
    }
    st = store_schema_check(*out);
    return st == LOOM_OK ? st : give_up(out, path, st, problem);
}

void store_close(store *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < WRITE_COUNT; i++) {
        sqlite3_finalize(s->write[i]);
    }
    store_summaries_fini(s);
    sqlite3_close(s->db);
    digest_fini(&s->digest);
    free(s->slice);
    free(s);
}

loom_status store_default_path(char **out)
{
    static const char file[] = "loom/traces.db";
    const char *named = getenv("LOOM_TRACE_DB");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    *out = NULL;
    int len;
    if (named != NULL && named[0] != '\0') {
        len = asprintf(out, "%s", named);
    } else if (state != NULL && state[0] == '/') { /* a relative one is to be ignored (XDG Base Directory) */
        len = asprintf(out, "%s/%s", state, file);
    } else if (home != NULL && home[0] == '/') {
        len = asprintf(out, "%s/.local/state/%s", home, file);
    } else {
        return LOOM_ENOTFOUND;
    }
    if (len < 0) {
        *out = NULL;
        return LOOM_ENOMEM;
    }
    return LOOM_OK;
}
