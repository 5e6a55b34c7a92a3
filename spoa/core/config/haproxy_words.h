/* Words of HAProxy's configuration: what has to be escaped, and which addresses it can take. Pure. */
#ifndef SPOA_CORE_CONFIG_HAPROXY_WORDS_H
#define SPOA_CORE_CONFIG_HAPROXY_WORDS_H

#include <stdbool.h>

#include "proto/addr.h"

struct text;

/* Adds one word. Blanks, quotes, `#` and backslashes get a backslash. */
void haproxy_add_word(struct text *out, const char *word);

/* Whether the value needs no quotes among the arguments of a sample. */
bool haproxy_is_plain(const char *value);

/* Adds `str(VALUE)`, the sample that is this text. */
void haproxy_add_sample(struct text *out, const char *value);

/* Adds text that stands between double quotes. */
void haproxy_add_quoted(struct text *out, const char *part);

/* Whether a HAProxy can connect there, or listen: a port is given, and the path of a UNIX socket is one that can be
 * written. */
bool haproxy_takes_address(const struct addr *addr);

/* Where a HAProxy on the same host connects to what listens at `addr`: the loopback in place of a wildcard. */
struct addr haproxy_reaches(const struct addr *addr);

/* Adds an address that haproxy_takes_address(), as a server or a `bind` has it. */
void haproxy_add_address(struct text *out, const struct addr *addr);

#endif
