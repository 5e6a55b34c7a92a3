#include "spoa/cli/commands.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/cli/http_client.h"
#include "spoa/cli/options.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_conf.h"

#define WATCH_INTERVAL_S 1
#define CLEAR_SCREEN "\033[H\033[2J"

/* Asks the first `http` address. Returns the HTTP code, or -1 with a message on stderr. The caller must
 * finish the body. */
static int ask(const struct config *config, const char *path, struct text *body)
{
    *body = (struct text){.data = NULL};
    if (config->agent.web.count == 0) {
        fputs("the configuration has no 'http' in [agent]: there is nobody to ask\n", stderr);
        return -1;
    }
    const struct config_listen *where = &config->agent.web.list[0];
    int code = http_client_get(where, path, body);
    if (code == -1) {
        char text[ADDR_TEXT_MAX];
        fprintf(stderr, "no answer from %s: %s\n", addr_format(&where->addr, text), strerror(errno));
    }
    return code;
}

static int print_once(const struct config *config, const char *path, const char *before)
{
    struct text body;
    int code = ask(config, path, &body);

    if (code != -1) {
        fputs(before, stdout);
        fputs(body.data != NULL ? body.data : "", stdout);
        fflush(stdout);
    }
    text_finish(&body);
    return code == 200 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

int command_status(const struct config *config, bool is_json, bool watches)
{
    const char *path = is_json ? "/status" : "/status.txt";

    if (!watches)
        return print_once(config, path, "");
    /* Until nobody reads it any more, as in `status --watch | head`. An agent that is away may come back. */
    while (!ferror(stdout)) {
        (void)print_once(config, path, isatty(STDOUT_FILENO) ? CLEAR_SCREEN : "");
        sleep(WATCH_INTERVAL_S);
    }
    return EXIT_CODE_OK;
}

/* Adds the name as a part of a path: RFC 3986 has the bytes that stay as they are. */
static void add_escaped(struct text *path, const char *name)
{
    for (; *name != '\0'; name++)
        if (isalnum((unsigned char)*name) || strchr("-._~", *name) != NULL)
            text_add_bytes(path, name, 1);
        else
            text_printf(path, "%%%02X", (unsigned char)*name);
}

int command_explain(const struct config *config, const char *service)
{
    struct text path = {.data = NULL};
    int code = EXIT_CODE_RUNTIME;

    text_add(&path, service != NULL ? "/explain/" : "/explain.txt");
    if (service != NULL)
        add_escaped(&path, service);
    if (path.has_failed)
        fputs("out of memory\n", stderr);
    else
        code = print_once(config, path.data, "");
    text_finish(&path);
    return code;
}

int command_probe(const struct config *config, const char *path)
{
    struct text body;
    int code = ask(config, path, &body);

    if (code != 200 && body.data != NULL)
        fputs(body.data, stderr);
    text_finish(&body);
    return code == 200 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}

int command_haproxy_conf(const struct config *config, unsigned version, bool is_spoe)
{
    const struct haproxy_conf_options options = {.version = version, .spoe_path = HAPROXY_CONF_SPOE_PATH};
    struct text out = {.data = NULL};

    if (is_spoe)
        haproxy_conf_write_spoe(config, version, &out);
    else
        haproxy_conf_write(config, &options, &out);
    bool is_whole = !out.has_failed;
    if (is_whole)
        fputs(out.data, stdout);
    else
        fputs("out of memory\n", stderr);
    text_finish(&out);
    return is_whole ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}
