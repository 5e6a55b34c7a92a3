/*
 * What HAProxy says on its runtime API and on its master CLI (management guide, sections 9.3 and 9.4). Pure: text
 * comes in.
 */
#ifndef SPOA_CORE_HAPROXY_RUNTIME_REPLY_H
#define SPOA_CORE_HAPROXY_RUNTIME_REPLY_H

#include <stdbool.h>
#include <stddef.h>

/* A longer line is cut off here. What is looked for stands in its first half. */
#define REPLY_LINE_MAX 1024
/* What is kept of an answer: enough to say what is wrong. */
#define REPLY_TEXT_MAX 200

/* Cuts a reply into lines. */
struct reply_lines {
    void (*each)(void *context, const char *line);
    void *context;
    size_t len;
    char line[REPLY_LINE_MAX];
};

/* `each` is called with every line that ends, without its line feed; the text is valid during the call. */
void reply_lines_init(struct reply_lines *lines, void (*each)(void *context, const char *line),
                      void *context);

/* Takes the next bytes of the reply, in pieces of any size. */
void reply_lines_take(struct reply_lines *lines, const char *bytes, size_t len);

/* One answer after the other: HAProxy ends each with an empty line, and says nothing else where all went well. Zero is
 * a good start. */
struct reply_answer {
    bool has_ended;
    char text[REPLY_TEXT_MAX];
};

/* Takes a line. True where it ends an answer: `text` is then the answer's first line, "" for "done", until the next
 * call. */
bool reply_answer_take(struct reply_answer *answer, const char *line);

/* The workers in the reply to `show proc`. Zero is a good start. */
struct reply_workers {
    bool is_in_section; /* not of programs */
    bool is_old;
};

/* Takes a line. The process number of the worker that it is about, 0 where it is about none. `is_old` tells whether a
 * reload has replaced that worker. */
unsigned reply_workers_take(struct reply_workers *workers, const char *line);

/* The answer to `get weight`; false where it is none. */
bool reply_weight_read(const char *text, unsigned *ret_weight);

#endif
