/*
 * Reads what HAProxy says on its runtime API and on its master CLI (management guide, sections 9.3 and 9.4).
 * Pure.
 */
#ifndef SPOA_CORE_HAPROXY_RUNTIME_REPLY_H
#define SPOA_CORE_HAPROXY_RUNTIME_REPLY_H

#include <stdbool.h>
#include <stddef.h>

/* The part of a line that is read. All that we look for stands in its first half. */
#define REPLY_LINE_MAX 1024
/* The part of an answer that is kept. It is enough to tell what is wrong. */
#define REPLY_TEXT_MAX 200

/* Splits a reply into lines. */
struct reply_lines {
    void (*each)(void *context, const char *line);
    void *context;
    size_t len;
    char line[REPLY_LINE_MAX];
};

/* `each` is called with every complete line, without its line feed. The text is valid during the call. */
void reply_lines_init(struct reply_lines *lines, void (*each)(void *context, const char *line),
                      void *context);

/* Takes the next bytes of the reply. The pieces may have any size. */
void reply_lines_take(struct reply_lines *lines, const char *bytes, size_t len);

/* Reads the answers to several commands. HAProxy ends each answer with an empty line. An answer that is
 * only the empty line means success. All zero is a good start. */
struct reply_answer {
    bool has_ended;
    char text[REPLY_TEXT_MAX];
};

/* Takes a line. True if it ends an answer. Then `text` is the answer's first line, "" for success, until
 * the next call. */
bool reply_answer_take(struct reply_answer *answer, const char *line);

/* Reads the reply to `show proc`. All zero is a good start. */
struct reply_workers {
    bool is_in_section; /* the lines are about workers */
    bool is_old;
};

/* Takes a line. Returns the process number of the worker in it, 0 if there is none. Then `is_old` tells
 * whether a reload has replaced the worker. */
unsigned reply_workers_take(struct reply_workers *workers, const char *line);

/* Reads the answer to `get weight`. False if it has no weight. */
bool reply_weight_read(const char *text, unsigned *ret_weight);

#endif
