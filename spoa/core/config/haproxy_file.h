/*
 * What can be said of somebody's haproxy.cfg by reading it line by line. Pure: lines in, findings out.
 */
#ifndef SPOA_CORE_CONFIG_HAPROXY_FILE_H
#define SPOA_CORE_CONFIG_HAPROXY_FILE_H

#include <stdbool.h>

/* What servers are told by the lines of one section; zero is nothing. */
struct haproxy_server_words {
    bool has_check;            /* a health check that connects to the server itself */
    bool shuts_when_down;      /* on-marked-down shutdown-sessions */
    bool is_checked_elsewhere; /* `addr`: the check asks another host, as http-health/ asks the agent */
};

struct haproxy_file {
    struct haproxy_server_words defaults; /* of `default-server` in the section `defaults` before */
    struct haproxy_server_words section;  /* of `default-server` in this section */
    bool is_in_defaults;
};

void haproxy_file_init(struct haproxy_file *file);

/* Takes the next line, which is changed. True where servers of this line are marked down by a health check and have their
 * sessions shut then: HAProxy 2.8 to 3.1 leaves clients hanging that are connecting (haproxy_hangs()). */
bool haproxy_file_take(struct haproxy_file *file, char *line);

#endif
