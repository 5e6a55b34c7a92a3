/*
 * Host names and paths of sockets, each of them once. An address (addr.h) points to its text here, so it has no room for
 * the longest one. A text stays as long as the process: addresses are copied freely, and a reload takes them along.
 *
 * A peer must not make us grow. Of the names that only peers told, there are NAMES_TOLD_MAX at most. What the operator
 * writes has no limit. Not for threads.
 */
#ifndef PROTO_NAMES_H
#define PROTO_NAMES_H

#include "proto/span.h"

#define NAMES_TOLD_MAX 4096

/* The one copy of a text without NUL that the operator wrote. NULL if memory is short. */
const char *names_keep(struct span text);

/* The same for a text that a peer told. NULL also where there are too many that only peers told. */
const char *names_keep_told(struct span text);

/* Frees all of them. No address with a name or a path may be used any more. */
void names_forget(void);

#endif
