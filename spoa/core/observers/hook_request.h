/* What a program that is run at a switch is told: arguments and environment. Pure. */
#ifndef SPOA_CORE_OBSERVERS_HOOK_REQUEST_H
#define SPOA_CORE_OBSERVERS_HOOK_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/must_check.h"
#include "spoa/core/decision/service.h"

#define HOOK_ARGS_MAX 32
#define HOOK_VARIABLES_MAX 10
#define HOOK_TEXT_MAX 4096
/* Leaves room for what is added to the command: the longest names and addresses, twice. */
#define HOOK_COMMAND_MAX 2000

/* Moves with its pointers: not to be copied. */
struct hook_request {
    char *argv[HOOK_ARGS_MAX + 1]; /* NULL at the end, as execve(2) takes it */
    char *envp[HOOK_VARIABLES_MAX + 1];
    size_t argc;
    size_t variables;
    size_t used;
    char text[HOOK_TEXT_MAX];
};

/*
 * The words of `command`, split at blanks, then the service, the address of the old master and that of the new one, "-" where
 * there is none. The environment: PATH, and SENTINEL_SPOA_SERVICE, _OLD_ADDR, _OLD_SERVER, _NEW_ADDR, _NEW_SERVER, _GENERATION,
 * _VOTES. False where that is too much.
 */
MUST_CHECK bool hook_request_fill(struct hook_request *request, const char *command,
                                  const struct service *service, const struct service_change *change);

/* Whether `command` can be run as it stands: an absolute path first, not too many words, not too long. */
bool hook_command_is_good(const char *command);

#endif
