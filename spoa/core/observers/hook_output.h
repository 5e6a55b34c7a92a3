/*
 * What a program of `on-switch` prints: each line is logged as "hook-output" with the name of its service. Takes bytes,
 * knows no pipe.
 */
#ifndef SPOA_CORE_OBSERVERS_HOOK_OUTPUT_H
#define SPOA_CORE_OBSERVERS_HOOK_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

/* The most bytes of a line that are logged, and the most lines of one run. */
#define HOOK_OUTPUT_LINE_MAX 500
#define HOOK_OUTPUT_LINES_MAX 100

struct hook_output {
    const char *service;
    unsigned lines;   /* that were logged */
    uint64_t dropped; /* lines beyond */
    size_t len;       /* of the line so far, without a limit; `line` has its beginning */
    char line[HOOK_OUTPUT_LINE_MAX];
};

/* A run begins. `service` is borrowed. */
void hook_output_begin(struct hook_output *output, const char *service);

/* The next bytes, cut anywhere. Logs the lines that are complete. */
void hook_output_take(struct hook_output *output, const char *bytes, size_t len);

/* Nothing more comes. Logs the last line, where it has no newline, and how many lines were not logged. */
void hook_output_end(struct hook_output *output);

#endif
