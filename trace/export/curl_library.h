/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded when it is first needed: it brings thirty libraries and 5 MB of memory with it, which a process that
 * exports nothing should not pay for. Loaded once, and never unloaded. Any thread. */
#ifndef LOOM_TRACE_EXPORT_CURL_LIBRARY_H
#define LOOM_TRACE_EXPORT_CURL_LIBRARY_H

#define CURL_DISABLE_TYPECHECK /* its macros would call the functions by name */
#include <curl/curl.h>

#define CURL_LIBRARY_MAP(X)                                                                                          \
    X(global_init) X(global_cleanup) X(version_info) X(free) X(slist_append) X(slist_free_all)                       \
    X(easy_init) X(easy_cleanup) X(easy_setopt) X(easy_getinfo) X(easy_strerror)                                     \
    X(multi_init) X(multi_cleanup) X(multi_perform) X(multi_info_read) X(multi_poll) X(multi_wakeup)                 \
    X(multi_add_handle) X(multi_remove_handle)                                                                       \
    X(url) X(url_cleanup) X(url_set) X(url_get)

typedef struct curl_library {
#define X(name) __typeof__(&curl_##name) name;
    CURL_LIBRARY_MAP(X)
#undef X
} curl_library;

/* NULL: there is none, or it is too old; curl_library_problem() says which. */
const curl_library *curl_library_get(void);
const char *curl_library_problem(void); /* after a NULL; static storage */

#endif
