/* SPDX-License-Identifier: Apache-2.0 */
/* The store may have a million spans, which must not hold up the receiver of more. So the loop hands questions to libuv's pool
 * of threads, as many at once as there are readers; others wait their turn. Each has so much time, and ends when the view does. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tools/loom/view/internal.h"

static void run(uv_work_t *work)
{
    view_job *job = work->data;
    store_set_budget(job->reader, VIEW_QUESTION_MS, &job->view->stopping);
    job->run(job);
}

static void free_job(view_job *job)
{
    free(job->text);
    free(job->query);
    free(job);
}

static void fail(view_job *job, const char *why)
{
    if (job->out != NULL) {
        (void)fclose(job->out);
    }
    view_fail(job->view, job->request, 503, why);
    free_job(job);
}

static void start_waiting(view *v);

static void on_done(uv_work_t *work, int status)
{
    view_job *job = work->data;
    view *v = job->view;
    size_t place = 0;
    while (v->readers[place] != NULL) {
        place++;
    }
    v->readers[place] = job->reader;
    v->job_count--;
    start_waiting(v);
    const bool whole = fclose(job->out) == 0;
    if (status != 0 || !whole) {
        view_fail(v, job->request, 503, "out of memory");
    } else {
        view_answer(job->request, job->status, job->type, (loom_bytes){(const uint8_t *)job->text, job->text_len}, NULL, 0);
    }
    free_job(job);
}

static store *take_reader(view *v)
{
    for (size_t i = VIEW_READERS; i-- > 0;) {
        store *reader = v->readers[i];
        if (reader != NULL) {
            v->readers[i] = NULL;
            return reader;
        }
    }
    return NULL;
}

static void start_waiting(view *v)
{
    while (v->jobs.first != NULL && !atomic_load(&v->stopping)) {
        store *reader = take_reader(v);
        if (reader == NULL) {
            return;
        }
        view_job *job = list_item(list_take_first(&v->jobs), view_job, node);
        job->reader = reader;
        if (uv_queue_work(&v->loop, &job->work, run, on_done) != 0) {
            on_done(&job->work, -1);
        }
    }
}

void view_jobs_stop(view *v)
{
    atomic_store(&v->stopping, true);
    for (list_node *node; (node = list_take_first(&v->jobs)) != NULL;) {
        v->job_count--;
        fail(list_item(node, view_job, node), "the view ends");
    }
}

static char *query_of(const http_request *r)
{
    const loom_str query = http_request_query(r);
    return strndup(query.len > 0 ? query.data : "", query.len);
}

void view_job_start(view *v, http_request *r, void (*what)(view_job *job))
{
    if (v->job_count == VIEW_JOBS_MAX) {
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
    v->job_count++;
    list_append(&v->jobs, &job->node);
    start_waiting(v);
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

void view_job_fail_read(view_job *job, loom_status st)
{
    if (st == LOOM_ETIMEDOUT) {
        view_job_fail(job, 503, "the database did not answer within %d seconds: ask for less, or again", VIEW_QUESTION_MS / 1000);
    } else {
        view_job_fail(job, st == LOOM_ENOMEM ? 503 : 500, "cannot read the traces: %s", st == LOOM_ENOMEM ? loom_status_text(st) : store_problem(job->reader));
    }
}
