/* Looks for a dangerous setting in a haproxy.cfg, line by line. Pure: lines in, findings out. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_FILE_H
#define SPOA_CORE_CONFIG_HAPROXY_FILE_H

#include <stdbool.h>

/* The settings that the lines of one section give to servers. All zero: none. */
struct haproxy_server_words {
    bool has_check;            /* a health check connects to the server itself */
    bool shuts_when_down;      /* on-marked-down shutdown-sessions */
    bool is_checked_elsewhere; /* `addr`: the check asks another host, as in http-health/ */
};

struct haproxy_file {
    struct haproxy_server_words defaults; /* of `default-server` in the last `defaults` */
    struct haproxy_server_words section;  /* of `default-server` in this section */
    bool is_in_defaults;
};

void haproxy_file_init(struct haproxy_file *file);

/*
 * Takes the next line, and changes its text. Returns true if this line lets a health check mark servers down
 * and shut their sessions. HAProxy 2.8 to 3.1 then leaves connecting clients hanging (haproxy_hangs()).
 */
bool haproxy_file_take(struct haproxy_file *file, char *line);

#endif
