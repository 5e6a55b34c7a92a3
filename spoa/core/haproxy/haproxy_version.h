/* HAProxy's version, as major * 100 + minor, and what depends on it. Pure. */
#ifndef SPOA_CORE_HAPROXY_HAPROXY_VERSION_H
#define SPOA_CORE_HAPROXY_HAPROXY_VERSION_H

#include <stdbool.h>

/* The oldest version that is supported. What fits it fits the later ones. */
#define HAPROXY_OLDEST 206U

/* "3.2" or "3.2.1" as a version; 0 where it is none, or older than 2.6. */
unsigned haproxy_version(const char *text);

/*
 * Of the first bytes of a reply to `show info`, in lines or in one: 300 for HAProxy 3.0. 0 where it is none
 * of HAProxy's.
 */
unsigned haproxy_info_version(const char *info);

/*
 * Whether this HAProxy never closes a session that is still connecting when it is shut. Its client waits for
 * good, and the session stays when the client has gone. 2.6 closes it, and so does 3.2-dev10 and later
 * (HAProxy's commit 51611a5b7). 2.7 was not tried. A bug-fix release of 2.8, 3.0 or 3.1 may be mended as
 * well. Nothing is lost by taking care of all these, nor of one whose version is not known (0).
 */
bool haproxy_hangs(unsigned version);

#endif
