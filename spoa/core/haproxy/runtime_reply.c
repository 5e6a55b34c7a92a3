#include "spoa/core/haproxy/runtime_reply.h"

#include <limits.h>
#include <string.h>

#include "proto/span.h"

void reply_lines_init(struct reply_lines *lines, void (*each)(void *context, const char *line), void *context)
{
    lines->each = each;
    lines->context = context;
    lines->len = 0;
}

void reply_lines_take(struct reply_lines *lines, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            lines->line[lines->len] = '\0';
            lines->len = 0;
            lines->each(lines->context, lines->line);
        } else if (lines->len + 1 < sizeof(lines->line)) {
            lines->line[lines->len++] = bytes[i];
        }
    }
}

bool reply_answer_take(struct reply_answer *answer, const char *line)
{
    if (answer->has_ended)
        answer->text[0] = '\0';
    answer->has_ended = line[0] == '\0';
    if (answer->text[0] == '\0') {
        size_t len = strnlen(line, sizeof(answer->text) - 1);
        memcpy(answer->text, line, len);
        answer->text[len] = '\0';
    }
    return answer->has_ended;
}

/* The sections are "# workers", "# old workers" and "# programs", the lines "PID worker RELOADS UPTIME
 * VERSION". */
unsigned reply_workers_take(struct reply_workers *workers, const char *line)
{
    struct span rest = span_of_text(line);
    uint64_t pid;

    if (line[0] == '#') {
        workers->is_old = strcmp(line, "# old workers") == 0;
        workers->is_in_section = workers->is_old || strcmp(line, "# workers") == 0;
        return 0;
    }
    if (!workers->is_in_section || !span_take_number(&rest, UINT_MAX, &pid) ||
        !span_equals_text(span_take_word(&rest), "worker"))
        return 0;
    return (unsigned)pid;
}

/* "0 (initial 100)" */
bool reply_weight_read(const char *text, unsigned *ret_weight)
{
    struct span rest = span_of_text(text);
    uint64_t weight;

    if (!span_take_number(&rest, UINT_MAX, &weight) || (rest.len > 0 && rest.data[0] != ' '))
        return false;
    *ret_weight = (unsigned)weight;
    return true;
}
