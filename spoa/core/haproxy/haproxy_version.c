#include "spoa/core/haproxy/haproxy_version.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The oldest one that the recipes work with. */
#define VERSION_MIN 206U
/* Versions that never close a session that is shut while it connects; seen with 2.8.0, 2.9.0, 3.0.0, 3.0.11, 3.1.0. */
#define HANGS_FROM 207U
#define HANGS_UNTIL 301U

unsigned haproxy_version(const char *text)
{
    char *rest;
    unsigned long major = strtoul(text, &rest, 10);

    if (!isdigit((unsigned char)text[0]) || rest[0] != '.' || !isdigit((unsigned char)rest[1]) || major > 99)
        return 0;
    unsigned long minor = strtoul(rest + 1, &rest, 10);
    if ((rest[0] != '\0' && rest[0] != '.' && rest[0] != '-') || minor > 99)
        return 0;
    unsigned version = (unsigned)(major * 100 + minor);
    return version >= VERSION_MIN ? version : 0;
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
