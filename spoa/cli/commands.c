#include "spoa/cli/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "spoa/cli/http_client.h"
#include "spoa/cli/options.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_conf.h"

int command_print(const struct config *config, const char *path)
{
    struct text body;
    int code = http_client_ask(config, path, &body);

    if (code != -1) {
        fputs(body.data != NULL ? body.data : "", stdout);
        fflush(stdout);
    }
    text_finish(&body);
    return code == 200 ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
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
        code = command_print(config, path.data);
    text_finish(&path);
    return code;
}

int command_probe(const struct config *config, const char *path)
{
    struct text body;
    int code = http_client_ask(config, path, &body);

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
