/* SPDX-License-Identifier: Apache-2.0 */
/* Conveniences for spans: scopes that end by themselves, attributes of any type by one name, exceptions, spans that move to
 * another thread. C11 and later, C++11 and later; GCC and Clang. In C99 there is everything but loom_span_set().
 *
 *     static int load(loom_tracer *tracer, const char *path)
 *     {
 *         LOOM_SPAN_SCOPE(span, tracer, "load");      // current until the block ends, however it ends
 *         loom_span_set(span, "file.path", path);
 *         loom_span_set(span, "attempt", 1);
 *         FILE *file = fopen(path, "re");
 *         if (file == NULL) {
 *             loom_span_record_error(span, "ENOENT", strerror(errno));
 *             return -1;                              // the span ends here
 *         }
 *         ...
 *     }
 *
 * Threads: a span is used by one thread at a time, and is current on each that made it so. To hand one over:
 *
 *     loom_span_detach(span);                         // no longer current here
 *     give_to_worker(span);                           // by anything that synchronises memory: a queue, a mutex, pthread_create
 *     // in the worker
 *     loom_span_make_current(span);
 *     ...
 *     loom_span_end(span);
 *
 * The thread that gave it away must not touch it again; ending it there as well is harmless. */
#ifndef LOOM_SPAN_H
#define LOOM_SPAN_H

#include <loom/trace.h>

LOOM_BEGIN_DECLS

/* ---- attributes ---- */

/* A value over INT64_MAX, which OTLP has no integer for, becomes a string of its digits. */
LOOM_API void loom_span_set_uint(loom_span *span, const char *key, uint64_t value);
/* Arrays; items may be NULL when count is 0. */
LOOM_API void loom_span_set_strs(loom_span *span, const char *key, const loom_str *items, size_t count);
LOOM_API void loom_span_set_strings(loom_span *span, const char *key, const char *const *items, size_t count); /* at most 1024 */
LOOM_API void loom_span_set_bools(loom_span *span, const char *key, const bool *items, size_t count);
LOOM_API void loom_span_set_ints(loom_span *span, const char *key, const int64_t *items, size_t count);
LOOM_API void loom_span_set_doubles(loom_span *span, const char *key, const double *items, size_t count);

/* ---- events and exceptions ---- */

/* An event of another time; 0: now. */
LOOM_API void loom_span_add_event_at(loom_span *span, const char *name, uint64_t unix_ns, const loom_attr *attrs,
                                     size_t attr_count);

/* What went wrong (OpenTelemetry semantic conventions, "Exceptions in spans"). NULL texts are left out. */
typedef struct loom_exception {
    const char *type;       /* exception.type, and error.type of the span: a class, a status name, an errno name */
    const char *message;    /* exception.message, and the description of the status */
    const char *stacktrace; /* exception.stacktrace */
    const loom_attr *attrs; /* more of the event; those that name the three above take their place */
    size_t attr_count;
} loom_exception;

/* An "exception" event, status ERROR, and error.type. loom_span_record_error() is this with type and message alone. */
LOOM_API void loom_span_record_exception(loom_span *span, const loom_exception *exception);

/* ---- spans that move ---- */

/* Takes the span off this thread's stack of current spans; what was current before it is so again. It goes on. */
LOOM_API void loom_span_detach(loom_span *span);

/* ---- scopes ---- */

/* loom_span_start() and loom_span_make_current() in one. */
LOOM_API loom_span *loom_span_begin(loom_tracer *tracer, const char *name, const loom_span_options *options);

LOOM_END_DECLS

#ifdef __cplusplus

#include <exception>
#if __cplusplus >= 201703L
#include <string_view>
#else
#include <string>
#endif

/* A span for the life of an object; stands for a loom_span *. Left by an exception it records an error. */
class loom_span_scope {
public:
    loom_span_scope(loom_tracer *tracer, const char *name, const loom_span_options *options = nullptr)
        : span(loom_span_begin(tracer, name, options)), exceptions(in_flight()) {}
    loom_span_scope(const loom_span_scope &) = delete;
    loom_span_scope &operator=(const loom_span_scope &) = delete;
    ~loom_span_scope()
    {
        if (in_flight() > exceptions) {
            loom_span_record_error(span, "exception", "left by an exception");
        }
        loom_span_end(span);
    }
    operator loom_span *() const { return span; }

private:
    static int in_flight()
    {
#if __cplusplus >= 201703L
        return std::uncaught_exceptions();
#else
        return std::uncaught_exception() ? 1 : 0; /* a scope inside a destructor that runs for another one is not told apart */
#endif
    }

    loom_span *span;
    int exceptions;
};

#define LOOM_SPAN_SCOPE(var, tracer, name) loom_span_scope var((tracer), (name))
#define LOOM_SPAN_SCOPE_WITH(var, tracer, name, options) loom_span_scope var((tracer), (name), (options))

inline void loom_span_set(loom_span *span, const char *key, const char *value) { loom_span_set_string(span, key, value); }
inline void loom_span_set(loom_span *span, const char *key, loom_str value) { loom_span_set_str(span, key, value); }
#if __cplusplus >= 201703L
inline void loom_span_set(loom_span *span, const char *key, std::string_view value) /* and std::string */
#else
inline void loom_span_set(loom_span *span, const char *key, const std::string &value)
#endif
{
    loom_span_set_str(span, key, loom_str{value.data(), value.size()});
}
inline void loom_span_set(loom_span *span, const char *key, bool value) { loom_span_set_bool(span, key, value); }
inline void loom_span_set(loom_span *span, const char *key, int value) { loom_span_set_int(span, key, value); }
inline void loom_span_set(loom_span *span, const char *key, long value) { loom_span_set_int(span, key, value); }
inline void loom_span_set(loom_span *span, const char *key, long long value) { loom_span_set_int(span, key, value); }
inline void loom_span_set(loom_span *span, const char *key, unsigned value) { loom_span_set_uint(span, key, value); }
inline void loom_span_set(loom_span *span, const char *key, unsigned long value) { loom_span_set_uint(span, key, value); }
inline void loom_span_set(loom_span *span, const char *key, unsigned long long value) { loom_span_set_uint(span, key, value); }
inline void loom_span_set(loom_span *span, const char *key, double value) { loom_span_set_double(span, key, value); }

#else

/* For the macros below. */
static inline void loom_span_end_scope(loom_span **span)
{
    loom_span_end(*span);
}

/* Declares `var`, a loom_span * that is current until its block ends, and then ended; ending it sooner is harmless. Its status
 * stays UNSET unless it is set. Scopes end in the reverse order of their declarations. Not by longjmp() nor exit(). */
#define LOOM_SPAN_SCOPE(var, tracer, name) LOOM_SPAN_SCOPE_WITH(var, tracer, name, NULL)
#define LOOM_SPAN_SCOPE_WITH(var, tracer, name, options) \
    __attribute__((cleanup(loom_span_end_scope), unused)) loom_span *var = loom_span_begin((tracer), (name), (options))

/* Sets an attribute by the type of its value: text, whole numbers, fractions, bool. In C before C23 `true` is an int: say
 * (bool)true, or pass a variable. */
#define loom_span_set(span, key, value)                                                                                \
    _Generic((value),                                                                                                  \
        char *: loom_span_set_string_, const char *: loom_span_set_string_, loom_str: loom_span_set_str_,              \
        bool: loom_span_set_bool_, float: loom_span_set_double_, double: loom_span_set_double_,                        \
        char: loom_span_set_int_, signed char: loom_span_set_int_, short: loom_span_set_int_, int: loom_span_set_int_, \
        long: loom_span_set_int_, long long: loom_span_set_int_, unsigned char: loom_span_set_uint,                    \
        unsigned short: loom_span_set_uint, unsigned: loom_span_set_uint, unsigned long: loom_span_set_uint,           \
        unsigned long long: loom_span_set_uint)((span), (key), (value))

#endif
#endif
