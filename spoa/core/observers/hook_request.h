/* The arguments and the environment of a program that is run at a switch. Pure. */
#ifndef SPOA_CORE_OBSERVERS_HOOK_REQUEST_H
#define SPOA_CORE_OBSERVERS_HOOK_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/decision/service.h"

#define HOOK_ARGS_MAX 32
#define HOOK_VARIABLES_MAX 10
#define HOOK_TEXT_MAX 4096
/* The longest command. It leaves room for what is added to it: the longest names and addresses, twice. */
#define HOOK_COMMAND_MAX 2000

/* The longest input: names and addresses, twice. It fits into an empty pipe. */
#define HOOK_INPUT_MAX 4096

/* Points into itself, so it must not be copied. */
struct hook_request {
    char *argv[HOOK_ARGS_MAX + 1]; /* NULL at the end, as execve(2) needs it */
    char *envp[HOOK_VARIABLES_MAX + 1];
    size_t argc;
    size_t variables;
    size_t used;
    char text[HOOK_TEXT_MAX];
    size_t input_len;
    char input[HOOK_INPUT_MAX]; /* for the program's standard input: a line of JSON */
};

/*
 * Writes the arguments: the words of `command`, split at blanks, then the service's name, the address of the
 * old master and the address of the new master ("-" if there is none). Writes the environment: PATH, and
 * SENTINEL_SPOA_SERVICE, _OLD_ADDR, _OLD_SERVER, _NEW_ADDR, _NEW_SERVER, _GENERATION, _VOTES. Writes the input,
 * which says the same. False if they do not fit, or if memory is short.
 */
MUST_CHECK bool hook_request_fill(struct hook_request *request, const char *command,
                                  const struct service *service, const struct service_change *change);

/* Whether `command` can be run: it begins with an absolute path, and is not too long in words or bytes. */
bool hook_command_is_good(const char *command);

#endif
