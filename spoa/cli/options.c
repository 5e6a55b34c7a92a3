#include "spoa/cli/options.h"

#include <assert.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/config/config.h"
#include "spoa/core/config/config_errors.h"
#include "spoa/core/haproxy/haproxy_version.h"

/* With the colon in front, getopt tells a missing value from an unknown option. */
#define SHORT_OPTIONS ":f:tVh"

#define DEFAULT_FILE "/etc/sentinel-spoa.conf"

/* Long options without a letter. */
enum long_option {
    OPTION_DUMP = 256,
    OPTION_LISTEN,
    OPTION_SENTINEL,
    OPTION_SERVICE,
    OPTION_SERVER,
    OPTION_LOG_LEVEL,
    OPTION_HTTP,
    OPTION_PASSWORD_FILE,
    OPTION_REDIS_PASSWORD_FILE,
    OPTION_PARK,
    OPTION_HEALTHCHECK,
    OPTION_READYCHECK,
    OPTION_JSON,
    OPTION_WATCH,
    OPTION_SPOE,
    OPTION_FOR,
    OPTION_HAPROXY,
    OPTION_PID,
    OPTION_TAKEOVER,
    OPTION_THROUGH,
    OPTION_YES,
};

static const struct option long_options[] = {
    {"file", required_argument, NULL, 'f'},
    {"test", no_argument, NULL, 't'},
    {"dump-config", no_argument, NULL, OPTION_DUMP},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"sentinel", required_argument, NULL, OPTION_SENTINEL},
    {"service", required_argument, NULL, OPTION_SERVICE},
    {"server", required_argument, NULL, OPTION_SERVER},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"http", required_argument, NULL, OPTION_HTTP},
    {"password-file", required_argument, NULL, OPTION_PASSWORD_FILE},
    {"redis-password-file", required_argument, NULL, OPTION_REDIS_PASSWORD_FILE},
    {"park", required_argument, NULL, OPTION_PARK},
    {"healthcheck", no_argument, NULL, OPTION_HEALTHCHECK},
    {"readycheck", no_argument, NULL, OPTION_READYCHECK},
    {"json", no_argument, NULL, OPTION_JSON},
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"spoe", no_argument, NULL, OPTION_SPOE},
    {"for", required_argument, NULL, OPTION_FOR},
    {"haproxy", required_argument, NULL, OPTION_HAPROXY},
    {"pid", required_argument, NULL, OPTION_PID},
    {"takeover", no_argument, NULL, OPTION_TAKEOVER},
    {"through", required_argument, NULL, OPTION_THROUGH},
    {"yes", no_argument, NULL, OPTION_YES},
    {NULL, 0, NULL, 0},
};

static const struct config_place command_line = {.file = "command line"};

static void print_usage(FILE *out)
{
    fputs("usage: sentinel-spoa [-f FILE] [--takeover | -t | --dump-config]\n"
          "       sentinel-spoa init --sentinel ADDR [OPTION]...    write the first files; see init --help\n"
          "       sentinel-spoa [-f FILE] status [--json] [--watch]\n"
          "       sentinel-spoa [-f FILE] explain [SERVICE]\n"
          "       sentinel-spoa [-f FILE] reload [--pid PID]\n"
          "       sentinel-spoa [-f FILE] --healthcheck | --readycheck\n"
          "       sentinel-spoa [-f FILE] check [--haproxy FILE]... [--json]\n"
          "       sentinel-spoa [-f FILE] rehearse SERVICE --through ADDR [--yes]\n"
          "       sentinel-spoa [-f FILE] haproxy-conf [--spoe] [--for VERSION]\n"
          "       sentinel-spoa --sentinel ADDR ... --service NAME --server NAME=ADDR ... [OPTION ...]\n"
          "\n",
          out);
}

void options_print_help(FILE *out)
{
    print_usage(out);
    fputs(
        "A HAProxy SPOE agent that names the Redis master that a majority of Sentinels names.\n"
        "\n"
        "  -f, --file FILE      read the configuration from FILE; /etc/sentinel-spoa.conf unless given\n"
        "      --takeover       take the place of the agent that runs with FILE, without losing a "
        "connection;\n"
        "                       it needs 'takeover' in [agent]\n"
        "  -t, --test           check the configuration and exit\n"
        "      --dump-config    print the configuration with all defaults and exit\n"
        "  -V, --version        print the version and exit\n"
        "  -h, --help           print this and exit\n"
        "\n"
        "Without a file:\n"
        "      --listen ADDR    where HAProxy connects (127.0.0.1:9012; unix:/path; repeatable)\n"
        "      --sentinel ADDR  a Sentinel, HOST:PORT (name all of them)\n"
        "      --service NAME   a master's name in Sentinel (repeatable)\n"
        "      --server NAME=ADDR\n"
        "                       a server of the --service before it: HAProxy's name for it, and the\n"
        "                       node's address (repeatable)\n"
        "      --password-file FILE\n"
        "                       the Sentinels' password is the first line of FILE\n"
        "      --redis-password-file FILE\n"
        "                       the same of the nodes of the --service before it\n"
        "      --park TIME      how long clients of the --service before it wait for a master (auto)\n"
        "      --http ADDR      where the status page is, 127.0.0.1:9912 for example\n"
        "      --log-level LEVEL\n"
        "                       error, warning, info or debug\n"
        "\n"
        "Of an agent that runs with FILE (it needs 'http' in [agent]: that is where these commands ask it):\n"
        "  status               what clients feel, who says what, the last switches and outages\n"
        "      --json           as JSON\n"
        "      --watch          again every second, in place in a terminal\n"
        "  explain              whom it names and why, and what would happen if somebody died now\n"
        "  reload               send SIGHUP, wait until FILE is used, and exit 0; else 1 with the reason\n"
        "      --pid PID        to this process, also where no agent answers\n"
        "      --healthcheck    exit 0 where it lives, else 1\n"
        "      --readycheck     exit 0 where every service has a master, else 1\n"
        "\n"
        "Of what FILE names, whether an agent runs or not:\n"
        "  check                ask every Sentinel, node and HAProxy; say what does not fit, and exit 1 "
        "then\n"
        "      --haproxy FILE   read HAProxy's configuration, a file or a folder, and its spoe.conf as well "
        "(repeatable)\n"
        "      --json           as JSON\n"
        "  rehearse             have the Sentinels replace the master, write through HAProxy meanwhile, and "
        "say what\n"
        "                       clients would have felt; exit 0 where no write was refused, lost or "
        "misrouted\n"
        "      --through ADDR   where HAProxy listens for clients of SERVICE\n"
        "      --yes            do it; without it, say what would be done, and exit 2\n"
        "\n"
        "Signals: SIGTERM and SIGINT stop it, after what is in flight was answered; SIGHUP reloads FILE.\n"
        "Exit codes: 0 stopped, or the configuration is valid; 1 it cannot run (the log says why);\n"
        "2 the command line or the configuration is wrong.\n",
        out);
}

/* An option that sets a key. */
struct key_option {
    int option;
    const char *key;
};

static const struct key_option of_agent[] = {
    {OPTION_LISTEN, "listen"}, {OPTION_HTTP, "http"}, {OPTION_LOG_LEVEL, "log-level"}, {0, NULL}};
static const struct key_option of_sentinels[] = {
    {OPTION_SENTINEL, "address"}, {OPTION_PASSWORD_FILE, "password-file"}, {0, NULL}};
static const struct key_option of_service[] = {{OPTION_SERVER, "server"},
                                               {OPTION_REDIS_PASSWORD_FILE, "password-file"},
                                               {OPTION_PARK, "park"},
                                               {0, NULL}};

/* The key that `option` sets; NULL if it is none of these. */
static const char *find_key(const struct key_option *keys, int option)
{
    while (keys->key != NULL && keys->option != option)
        keys++;
    return keys->key;
}

/* Sets all keys of a section. All at once, because a section is begun only once. */
static void set_all(struct config *config, int argc, char *const *argv, const char *section,
                    const struct key_option *keys, struct config_errors *errors)
{
    bool is_begun = false;
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, SHORT_OPTIONS, long_options, NULL)) != -1) {
        const char *key = find_key(keys, option);
        if (key == NULL)
            continue;
        if (!is_begun)
            config_section(config, &command_line, section, errors);
        is_begun = true;
        config_set(config, &command_line, key, optarg, errors);
    }
}

/* Sets "NAME=ADDR" as a file would: "NAME ADDR". */
static void set_server(struct config *config, const char *value, struct config_errors *errors)
{
    char server[512];

    assert(value != NULL); /* getopt_long(): --server has a required argument */
    size_t name_len = strcspn(value, "=");

    if (value[name_len] == '\0' || strlen(value) >= sizeof(server)) {
        config_error(errors, &command_line, "bad value '%s' for '--server': it takes NAME=ADDR", value);
        return;
    }
    memcpy(server, value, strlen(value) + 1);
    server[name_len] = ' ';
    config_set(config, &command_line, "server", server, errors);
}

static void begin_service(struct config *config, const char *name, struct config_errors *errors)
{
    char section[CONFIG_NAME_MAX + 32];

    if (snprintf(section, sizeof(section), "service %s", name) >= (int)sizeof(section))
        config_error(errors, &command_line, "the name of the service is too long");
    else
        config_section(config, &command_line, section, errors);
}

static void set_services(struct config *config, int argc, char *const *argv, struct config_errors *errors)
{
    bool is_begun = false;
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, SHORT_OPTIONS, long_options, NULL)) != -1) {
        if (option == OPTION_SERVICE) {
            begin_service(config, optarg, errors);
            is_begun = true;
        }
        const char *key = find_key(of_service, option);
        if (key != NULL && !is_begun)
            config_error(errors, &command_line, "'%s' needs a --service before it", optarg);
        else if (option == OPTION_SERVER)
            set_server(config, optarg, errors);
        else if (key != NULL)
            config_set(config, &command_line, key, optarg, errors);
    }
}

/* False if `word` is no command. */
static bool take_command(const char *word, struct options *options)
{
    static const struct {
        const char *word;
        enum command command;
    } commands[] = {
        {"status", COMMAND_STATUS}, {"explain", COMMAND_EXPLAIN}, {"rehearse", COMMAND_REHEARSE},
        {"reload", COMMAND_RELOAD}, {"check", COMMAND_CHECK},     {"haproxy-conf", COMMAND_HAPROXY_CONF},
    };

    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (strcmp(word, commands[i].word) == 0) {
            options->command = commands[i].command;
            return true;
        }
    return false;
}

/* Takes the word behind a command that has one. */
static bool take_service(const char *word, struct options *options)
{
    if (options->command != COMMAND_EXPLAIN && options->command != COMMAND_REHEARSE)
        return false;
    options->service = word;
    return true;
}

static void check_rehearsal(const struct options *options, struct config_errors *errors)
{
    bool is_rehearsal = options->command == COMMAND_REHEARSE;

    if (!is_rehearsal && (options->through != NULL || options->yes))
        config_error(errors, &command_line, "--through and --yes are of the command 'rehearse'");
    if (is_rehearsal && options->service == NULL)
        config_error(errors, &command_line, "'rehearse' needs the name of a service");
    if (is_rehearsal && options->through == NULL)
        config_error(errors, &command_line,
                     "'rehearse' needs --through ADDR: where HAProxy listens for clients of the service");
}

static void check_combination(struct options *options, struct config_errors *errors)
{
    check_rehearsal(options, errors);
    if (options->json && options->command != COMMAND_STATUS && options->command != COMMAND_CHECK)
        config_error(errors, &command_line, "--json is of the commands 'status' and 'check'");
    if (options->watch && options->command != COMMAND_STATUS)
        config_error(errors, &command_line, "--watch is of the command 'status'");
    if (options->pid != 0 && options->command != COMMAND_RELOAD)
        config_error(errors, &command_line, "--pid is of the command 'reload'");
    if (options->haproxy_file_count > 0 && options->command != COMMAND_CHECK)
        config_error(errors, &command_line, "--haproxy is of the command 'check'");
    if (options->haproxy_file_count > HAPROXY_FILES_MAX)
        config_error(errors, &command_line, "--haproxy is given more than %d times: name their folder",
                     HAPROXY_FILES_MAX);
    if (options->command != COMMAND_RUN && (options->takeover || options->check || options->dump))
        config_error(errors, &command_line, "--takeover, -t and --dump-config go with no command");
    if ((options->spoe || options->haproxy != 0) && options->command != COMMAND_HAPROXY_CONF)
        config_error(errors, &command_line, "--spoe and --for are of the command 'haproxy-conf'");
    if (options->command == COMMAND_HAPROXY_CONF && options->haproxy == 0)
        options->haproxy = HAPROXY_OLDEST;
    options->is_default_file = options->file == NULL && !options->has_keys;
    if (options->is_default_file)
        options->file = DEFAULT_FILE;
}

static void take_version(const char *text, struct options *options, struct config_errors *errors)
{
    assert(text != NULL); /* getopt_long(): --for has a required argument */
    options->haproxy = haproxy_version(text);
    if (options->haproxy == 0)
        config_error(errors, &command_line, "bad value '%s' for '--for': a version of HAProxy, 2.6 or later",
                     text);
}

static void take_pid(const char *text, struct options *options, struct config_errors *errors)
{
    char *end = NULL;

    assert(text != NULL); /* getopt_long(): --pid has a required argument */
    long pid = strtol(text, &end, 10);
    if (pid > 0 && pid <= INT_MAX && *end == '\0')
        options->pid = (pid_t)pid;
    else
        config_error(errors, &command_line, "bad value '%s' for '--pid': it takes the number of a process",
                     text);
}

static void take_option(int option, struct options *options)
{
    switch (option) {
    case 'f':
        options->file = optarg;
        break;
    case 't':
        options->check = true;
        break;
    case 'V':
        options->version = true;
        break;
    case 'h':
        options->help = true;
        break;
    case OPTION_DUMP:
        options->dump = true;
        break;
    case OPTION_HEALTHCHECK:
        options->probe = "/healthz";
        break;
    case OPTION_READYCHECK:
        options->probe = "/readyz";
        break;
    case OPTION_TAKEOVER:
        options->takeover = true;
        break;
    case OPTION_JSON:
        options->json = true;
        break;
    case OPTION_WATCH:
        options->watch = true;
        break;
    case OPTION_SPOE:
        options->spoe = true;
        break;
    case OPTION_THROUGH:
        options->through = optarg;
        break;
    case OPTION_YES:
        options->yes = true;
        break;
    case OPTION_HAPROXY:
        if (options->haproxy_file_count < HAPROXY_FILES_MAX)
            options->haproxy_files[options->haproxy_file_count] = optarg;
        options->haproxy_file_count++;
        break;
    default:
        options->has_keys = true;
        break;
    }
}

const char *options_unknown(char *const *argv, char letter[OPTIONS_LETTER_MAX])
{
    if (optopt <= 0 || optopt > CHAR_MAX)
        return argv[optind - 1];
    (void)snprintf(letter, OPTIONS_LETTER_MAX, "-%c", optopt);
    return letter;
}

bool options_parse(int argc, char *const *argv, struct options *ret_options, struct config *config,
                   struct config_errors *errors)
{
    struct options options = {.file = NULL};
    char letter[OPTIONS_LETTER_MAX];
    int option;

    while ((option = getopt_long(argc, argv, SHORT_OPTIONS, long_options, NULL)) != -1) {
        if (option == ':')
            config_error(errors, &command_line, "%s needs a value", argv[optind - 1]);
        else if (option == '?')
            config_error(errors, &command_line, "unknown option '%s'", options_unknown(argv, letter));
        else if (option == OPTION_FOR)
            take_version(optarg, &options, errors);
        else if (option == OPTION_PID)
            take_pid(optarg, &options, errors);
        else
            take_option(option, &options);
    }
    if (optind < argc && take_command(argv[optind], &options))
        optind++;
    if (optind < argc && take_service(argv[optind], &options))
        optind++;
    if (optind < argc)
        config_error(errors, &command_line, "unexpected argument '%s'", argv[optind]);
    check_combination(&options, errors);
    if (options.file != NULL && options.has_keys)
        config_error(errors, &command_line, "-f and the options of a quick start exclude each other");
    if (errors->count == 0 && options.has_keys) {
        set_all(config, argc, argv, "agent", of_agent, errors);
        set_all(config, argc, argv, "sentinels", of_sentinels, errors);
        set_services(config, argc, argv, errors);
    }
    if (errors->count == 0)
        *ret_options = options;
    return errors->count == 0;
}
