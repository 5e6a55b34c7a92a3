/* The command line. */
#ifndef SPOA_CLI_OPTIONS_H
#define SPOA_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "proto/must_check.h"

struct config;
struct config_errors;

/* Exit codes of the program. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_RUNTIME = 1, /* cannot listen, out of memory ... */
    EXIT_CODE_USAGE = 2,   /* the command line or the configuration is wrong */
};

/* What the program does. */
enum command {
    COMMAND_RUN,
    COMMAND_STATUS,
    COMMAND_EXPLAIN,
    COMMAND_REHEARSE,
    COMMAND_RELOAD,
    COMMAND_CHECK,
    COMMAND_HAPROXY_CONF,
};

/* The most that --haproxy can be given. */
#define HAPROXY_FILES_MAX 64

struct options {
    const char *file;     /* -f, or the default; NULL with the options of a quick start */
    bool is_default_file; /* `file` is not from the command line */
    enum command command;
    bool check;                                   /* -t */
    bool dump;                                    /* --dump-config */
    bool version;                                 /* -V */
    bool help;                                    /* -h */
    const char *probe;                            /* what --healthcheck or --readycheck asks for, or NULL */
    bool takeover;                                /* --takeover */
    bool json;                                    /* --json */
    bool watch;                                   /* --watch */
    bool spoe;                                    /* --spoe */
    unsigned haproxy;                             /* --for, see haproxy_version() */
    const char *haproxy_files[HAPROXY_FILES_MAX]; /* --haproxy */
    size_t haproxy_file_count;
    pid_t pid;           /* --pid, or 0 */
    const char *service; /* that `explain` or `rehearse` is about, or NULL */
    const char *through; /* --through, or NULL */
    bool yes;            /* --yes */
    bool has_keys;       /* options of a quick start were given; they are in `config` */
};

/*
 * Reads the command line. Puts the options of a quick start (--listen, --sentinel, --service and so on) into
 * `config`, as if a file had set them. Returns false with `errors` if the command line is
 * wrong.
 */
MUST_CHECK bool options_parse(int argc, char *const *argv, struct options *ret_options, struct config *config,
                              struct config_errors *errors);

/* The option that getopt_long() does not know: a word of the command line, or a letter out of one. */
#define OPTIONS_LETTER_MAX 3
const char *options_unknown(char *const *argv, char letter[OPTIONS_LETTER_MAX]);

void options_print_help(FILE *out);

#endif
