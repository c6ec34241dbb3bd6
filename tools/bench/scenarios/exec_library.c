/* SPDX-License-Identifier: Apache-2.0 */
/* What a span of a trace library costs, by the benchmark that lies beside it: bench.py, bench.js. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/scenarios/exec_programs.h"
#include "tools/bench/site.h"

enum { ANSWER_SIZE = 512 };

typedef struct library {
    const char *interpreter, *script;
} library;

static library library_of(bench_work work)
{
    return work == WORK_LIBRARY_NODE ? (library){"node", "node/bench.js"} : (library){"python3", "python/bench.py"};
}

/* In LOOM_LIBRARIES_DIR, or in the tree whose build folder this program lies in. */
static bool find_script(char out[SITE_URL_SIZE], const char *script)
{
    const char *given = getenv("LOOM_LIBRARIES_DIR");
    char self[SITE_URL_SIZE];
    if (given == NULL || given[0] == '\0') {
        if (!site_sibling(self, "loom-bench")) {
            return false;
        }
        *strrchr(self, '/') = '\0';
        if (snprintf(out, SITE_URL_SIZE, "%s/../../../trace/process/libraries/%s", self, script) >= SITE_URL_SIZE) {
            return false;
        }
    } else if (snprintf(out, SITE_URL_SIZE, "%s/%s", given, script) >= SITE_URL_SIZE) {
        return false;
    }
    if (access(out, R_OK) != 0) {
        bench_complain("there is no %s; LOOM_LIBRARIES_DIR names the folder of the trace libraries, in a source tree", out);
        return false;
    }
    return true;
}

/* In the process that becomes the interpreter. */
static void become(char *program, char *script, int out)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(out, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO); /* where the spans go */
    setenv("LOOM_TRACE", "1", 1);
    execv(program, (char *[]){program, script, NULL});
    _exit(127);
}

/* The largest of its figures, microseconds: {"library": "python", "root_us": 9.1, "child_us": 7.2}. 0: none. */
static double largest(const char *answer)
{
    static const char key[] = "_us\":";
    double most = 0;
    for (const char *at = strstr(answer, key); at != NULL; at = strstr(at, key)) {
        at += sizeof key - 1;
        const double value = strtod(at, NULL);
        most = value > most ? value : most;
    }
    return most;
}

bool exec_library_round(const bench_setup *setup, bench_sample *out)
{
    const library what = library_of(setup->shape.work);
    char program[SITE_URL_SIZE], script[SITE_URL_SIZE], answer[ANSWER_SIZE] = "";
    int ends[2], status = 1;
    if (!site_find_program(program, what.interpreter)) {
        bench_complain("there is no %s", what.interpreter);
        return false;
    }
    if (!find_script(script, what.script) || pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        become(program, script, ends[1]);
    }
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    const bool told = pid > 0 && in != NULL && fgets(answer, sizeof answer, in) != NULL;
    if (in != NULL) {
        fclose(in);
    } else {
        close(ends[0]);
    }
    const double us = told ? largest(answer) : 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0 || us <= 0) {
        bench_complain("%s %s failed", program, script);
        return false;
    }
    out->values[METRIC_SPAN_NS] = us * 1e3;
    return true;
}
