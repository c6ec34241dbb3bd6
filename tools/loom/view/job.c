/* SPDX-License-Identifier: Apache-2.0 */
/* The store may have a million spans, and a broker may be stopped: neither may hold up the receiver of spans. So the loop
 * hands such questions to libuv's pool of threads, a bounded number at a time. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tools/loom/view/internal.h"

static void run(uv_work_t *work)
{
    view_job *job = work->data;
    job->run(job);
}

static void on_done(uv_work_t *work, int status)
{
    view_job *job = work->data;
    const bool whole = job->out != NULL && fclose(job->out) == 0;
    job->view->jobs--;
    if (status != 0 || !whole) {
        view_fail(job->view, job->request, 503, "out of memory");
    } else {
        view_answer(job->request, job->status, job->type, (loom_bytes){(const uint8_t *)job->text, job->text_len}, NULL, 0);
    }
    free(job->text);
    free(job->query);
    free(job);
}

static char *query_of(const http_request *r)
{
    const loom_str query = http_request_query(r);
    return strndup(query.len > 0 ? query.data : "", query.len);
}

void view_job_start(view *v, http_request *r, void (*what)(view_job *job))
{
    if (v->jobs == VIEW_JOBS_MAX) {
        view_fail(v, r, 503, "too many questions at once: ask again in a second");
        return;
    }
    view_job *job = calloc(1, sizeof *job);
    if (job == NULL || (job->query = query_of(r)) == NULL || (job->out = open_memstream(&job->text, &job->text_len)) == NULL) {
        free(job != NULL ? job->query : NULL);
        free(job);
        view_fail(v, r, 503, "out of memory");
        return;
    }
    const loom_str rest = http_request_rest(r);
    snprintf(job->rest, sizeof job->rest, "%.*s", (int)(rest.len < sizeof job->rest ? rest.len : sizeof job->rest - 1), rest.data);
    job->work.data = job;
    job->view = v;
    job->request = r;
    job->run = what;
    job->status = 200;
    job->type = "application/json";
    v->jobs++;
    if (uv_queue_work(&v->loop, &job->work, run, on_done) != 0) {
        on_done(&job->work, -1);
    }
}

void view_job_fail(view_job *job, uint16_t status, const char *format, ...)
{
    char why[VIEW_PROBLEM_SIZE], text[VIEW_PROBLEM_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(why, sizeof why, format, values);
    va_end(values);
    job->status = status;
    job->type = VIEW_PROBLEM_TYPE;
    rewind(job->out);
    fwrite(text, 1, view_write_problem(text, status, why), job->out);
}

bool view_query(view_job *job, const char *(*visit)(void *user, const char *name, const char *value), void *user)
{
    char why[VIEW_PROBLEM_SIZE];
    if (view_parameters(str_of(job->query), visit != NULL ? visit : view_no_parameter, user, why)) {
        return true;
    }
    view_job_fail(job, 400, "%s", why);
    return false;
}
