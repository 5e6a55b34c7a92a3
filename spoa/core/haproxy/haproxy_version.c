#include "spoa/core/haproxy/haproxy_version.h"

#include <string.h>

#include "proto/span.h"

/*
 * Versions that never close a session that is shut while it connects; seen with 2.8.0, 2.9.0, 3.0.0, 3.0.11,
 * 3.1.0.
 */
#define HANGS_FROM 207U
#define HANGS_UNTIL 301U

unsigned haproxy_version(const char *text)
{
    struct span rest = span_of_text(text);
    struct span dot;
    uint64_t major;
    uint64_t minor;

    if (!span_take_number(&rest, 99, &major) || !span_take(&rest, 1, &dot) || dot.data[0] != '.' ||
        !span_take_number(&rest, 99, &minor))
        return 0;
    if (rest.len > 0 && rest.data[0] != '.' && rest.data[0] != '-')
        return 0;
    unsigned version = (unsigned)(major * 100 + minor);
    return version >= HAPROXY_OLDEST ? version : 0;
}

unsigned haproxy_info_version(const char *info)
{
    static const char name[] = "Name: HAProxy";
    static const char version[] = "Version: ";
    char number[16];

    if (strncmp(info, name, strlen(name)) != 0)
        return 0;
    const char *at = info + strlen(name);
    at += strspn(at, " \r\n");
    if (strncmp(at, version, strlen(version)) != 0)
        return 0;
    at += strlen(version);
    size_t len = strspn(at, "0123456789.");
    if (len >= sizeof(number))
        return 0;
    memcpy(number, at, len);
    number[len] = '\0';
    return haproxy_version(number);
}

bool haproxy_hangs(unsigned version)
{
    return version == 0 || (version >= HANGS_FROM && version <= HANGS_UNTIL);
}
