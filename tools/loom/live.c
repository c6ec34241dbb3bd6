/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/loom/live.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/str.h"

#define NS_PER_MS 1000000u
#define INTERVAL_LEAST_NS (50 * (uint64_t)NS_PER_MS)
enum { ROWS = 24, COLUMNS = 100 }; /* where nobody says */

bool live_page_interval(uint64_t *ns, const command *c, const options *o, int *exit_code)
{
    const char *text = options_value(o, "interval");
    *ns = 1000 * (uint64_t)NS_PER_MS;
    if (text != NULL && (!duration_parse(ns, str_of(text)) || *ns < INTERVAL_LEAST_NS)) {
        *exit_code = command_misuse(c, "--interval must be a duration of 50ms or more, such as 500ms or 2s, not \"%s\"", text);
        return false;
    }
    return true;
}

void live_page_begin(live_page *page, uint64_t interval_ns)
{
    *page = (live_page){.terminal = isatty(STDOUT_FILENO) == 1, .keys_fd = -1, .interval_ns = interval_ns};
    struct termios raw;
    if (page->terminal && isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &page->before) == 0) {
        raw = page->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* ctrl-C stays a signal */
        page->keys = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    page->next_ns = clock_monotonic_ns() + interval_ns;
}

void live_page_end(live_page *page)
{
    if (page->keys) {
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &page->before);
    }
    page->keys = false;
}

FILE *live_page_draw(live_page *page)
{
    struct winsize size;
    const bool known = page->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    page->rows = !page->terminal ? SIZE_MAX : known ? size.ws_row : ROWS;
    page->columns = known ? size.ws_col : COLUMNS;
    page->out = open_memstream(&page->text, &page->len);
    return page->out;
}

/* In place: each line is cleared behind its text, and the screen below the last one, so that nothing flickers. */
static void put_in_place(const char *text, size_t len)
{
    fputs("\033[H", stdout);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            fputs("\033[K", stdout);
        }
        putchar(text[i]);
    }
    fputs("\033[J", stdout);
}

bool live_page_show(live_page *page)
{
    fclose(page->out);
    page->out = NULL;
    if (page->terminal) {
        put_in_place(page->text, page->len);
    } else {
        fwrite(page->text, 1, page->len, stdout);
    }
    free(page->text);
    page->text = NULL;
    return fflush(stdout) == 0 && !ferror(stdout);
}

interrupt_news live_page_wait(live_page *page, interrupt *stop, char *key)
{
    *key = 0;
    const interrupt_news news = interrupt_wait(stop, page->keys ? STDIN_FILENO : page->keys_fd, page->next_ns);
    if (news == INTERRUPT_READABLE && page->keys && read(STDIN_FILENO, key, 1) != 1) {
        live_page_end(page); /* the terminal has gone */
    }
    const uint64_t now = clock_monotonic_ns();
    if (now >= page->next_ns) {
        page->next_ns = now + page->interval_ns;
    }
    return news;
}
