#include "spoa/cli/init_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "proto/span.h"
#include "spoa/cli/options.h"
#include "spoa/core/config/config_reader.h"
#include "spoa/core/haproxy/haproxy_version.h"

enum long_option {
    OPTION_SENTINEL = 256,
    OPTION_PASSWORD_FILE,
    OPTION_REDIS_PASSWORD_FILE,
    OPTION_USER,
    OPTION_HAPROXY,
    OPTION_FORCE,
};

static const struct option long_options[] = {
    {"sentinel", required_argument, NULL, OPTION_SENTINEL},
    {"password-file", required_argument, NULL, OPTION_PASSWORD_FILE},
    {"redis-password-file", required_argument, NULL, OPTION_REDIS_PASSWORD_FILE},
    {"user", required_argument, NULL, OPTION_USER},
    {"haproxy", required_argument, NULL, OPTION_HAPROXY},
    {"output", required_argument, NULL, 'o'},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool complain(const char *value, const char *what)
{
    fprintf(stderr, "init: '%s': %s\n", value, what);
    return false;
}

static bool take_sentinel(const char *value, struct init_options *options)
{
    return addr_parse(span_of_text(value), &options->sentinel) ||
           complain(value, "--sentinel takes HOST:PORT, such as 10.0.0.11:26379");
}

static bool take_version(const char *value, struct init_options *options)
{
    options->haproxy = haproxy_version(value);
    return options->haproxy != 0 || complain(value, "--haproxy takes a version of HAProxy, 2.6 or later");
}

/* A value that goes into the configuration file. */
static bool take_value(const char *value, const char **field)
{
    *field = value;
    return (value[0] != '\0' && config_reader_can_give(value)) ||
           complain(value, "a configuration file cannot have this value");
}

static bool take(int option, char *const *argv, struct init_options *options)
{
    char letter[OPTIONS_LETTER_MAX];

    switch (option) {
    case OPTION_SENTINEL:
        return take_sentinel(optarg, options);
    case OPTION_PASSWORD_FILE:
        return take_value(optarg, &options->password_file);
    case OPTION_REDIS_PASSWORD_FILE:
        return take_value(optarg, &options->redis_password_file);
    case OPTION_USER:
        return take_value(optarg, &options->user);
    case OPTION_HAPROXY:
        return take_version(optarg, options);
    case 'o':
        options->directory = optarg;
        return true;
    case OPTION_FORCE:
        options->is_forced = true;
        return true;
    case 'h':
        options->help = true;
        return true;
    case ':':
        return complain(argv[optind - 1], "needs a value");
    default:
        return complain(options_unknown(argv, letter), "unknown option");
    }
}

bool init_options_parse(int argc, char *const *argv, struct init_options *ret_options)
{
    struct init_options options = {.haproxy = HAPROXY_OLDEST};
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, ":o:h", long_options, NULL)) != -1)
        if (!take(option, argv, &options))
            return false;
    if (optind < argc)
        return complain(argv[optind], "unexpected argument");
    if (!options.help && options.sentinel.kind == ADDR_NONE)
        return complain("--sentinel HOST:PORT", "is needed; see --help");
    if (options.user != NULL && options.password_file == NULL && options.redis_password_file == NULL)
        return complain("--user", "needs --password-file or --redis-password-file");
    *ret_options = options;
    return true;
}
