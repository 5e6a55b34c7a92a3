#include "spoa/core/observers/hook_request.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/span.h"
#include "spoa/core/base/json.h"
#include "spoa/core/base/text.h"

/* How many arguments are added to the words of the command. */
#define OWN_ARGS 3

static char *add_text(struct hook_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static char *add_text(struct hook_request *request, const char *format, ...)
{
    char *begin = request->text + request->used;
    size_t room = sizeof(request->text) - request->used;
    va_list args;

    va_start(args, format);
    int len = vsnprintf(begin, room, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= room)
        return NULL;
    request->used += (size_t)len + 1;
    return begin;
}

static bool add_arg(struct hook_request *request, const char *text, size_t len)
{
    if (request->argc == HOOK_ARGS_MAX)
        return false;
    char *arg = add_text(request, "%.*s", (int)len, text);
    request->argv[request->argc++] = arg;
    return arg != NULL;
}

static bool add_variable(struct hook_request *request, const char *name, const char *value)
{
    char *variable = add_text(request, "SENTINEL_SPOA_%s=%s", name, value);

    request->envp[request->variables++] = variable;
    return variable != NULL;
}

static bool add_words(struct hook_request *request, const char *command)
{
    struct span rest = span_of_text(command);

    for (struct span word = span_take_word(&rest); word.len > 0; word = span_take_word(&rest))
        if (!add_arg(request, (const char *)word.data, word.len))
            return false;
    return true;
}

static const char *or_dash(const char *text)
{
    return text != NULL ? text : "-";
}

static void add_node(struct json *json, const char *key, const struct addr *addr, const char *server)
{
    char text[ADDR_TEXT_MAX];

    json_begin_object(json, key);
    json_string(json, "address", addr != NULL ? addr_format(addr, text) : NULL);
    json_string(json, "server", server);
    json_end(json);
}

static bool fill_input(struct hook_request *request, const char *name, const struct service_change *change)
{
    struct text out = {.data = NULL};
    struct json json = json_of(&out);

    json_begin_object(&json, NULL);
    json_string(&json, "service", name);
    add_node(&json, "old", change->replaced, change->replaced_server);
    add_node(&json, "new", change->after->addr, change->after->server);
    json_number(&json, "generation", (int64_t)change->after->generation);
    json_number(&json, "votes", change->after->votes);
    json_end(&json);
    text_add(&out, "\n");
    bool is_whole = !out.has_failed && out.len <= sizeof(request->input);
    if (is_whole) {
        memcpy(request->input, out.data, out.len);
        request->input_len = out.len;
    }
    text_finish(&out);
    return is_whole;
}

bool hook_request_fill(struct hook_request *request, const char *command, const struct service *service,
                       const struct service_change *change)
{
    const char *name = service_settings(service)->name;
    char new_addr[ADDR_TEXT_MAX] = "-";
    char old_addr[ADDR_TEXT_MAX] = "-";
    char generation[24];
    char votes[16];

    memset(request, 0, sizeof(*request));
    if (change->after->addr != NULL)
        (void)addr_format(change->after->addr, new_addr);
    if (change->replaced != NULL)
        (void)addr_format(change->replaced, old_addr);
    (void)snprintf(generation, sizeof(generation), "%" PRIu64, change->after->generation);
    (void)snprintf(votes, sizeof(votes), "%u", change->after->votes);
    request->envp[request->variables++] =
        add_text(request, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    return add_words(request, command) && add_arg(request, name, strlen(name)) &&
           add_arg(request, old_addr, strlen(old_addr)) && add_arg(request, new_addr, strlen(new_addr)) &&
           add_variable(request, "SERVICE", name) && add_variable(request, "OLD_ADDR", old_addr) &&
           add_variable(request, "OLD_SERVER", or_dash(change->replaced_server)) &&
           add_variable(request, "NEW_ADDR", new_addr) &&
           add_variable(request, "NEW_SERVER", or_dash(change->after->server)) &&
           add_variable(request, "GENERATION", generation) && add_variable(request, "VOTES", votes) &&
           fill_input(request, name, change);
}

bool hook_command_is_good(const char *command)
{
    struct span rest = span_of_text(command);
    unsigned words = 0;

    while (span_take_word(&rest).len > 0)
        words++;
    return command[0] == '/' && words + OWN_ARGS <= HOOK_ARGS_MAX && strlen(command) <= HOOK_COMMAND_MAX;
}
