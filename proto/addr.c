#include "proto/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

/* The longest sun_path of a UNIX socket, without its NUL. */
#define UNIX_PATH_MAX 107
#define UNIX_HOST "unix"
#define UNIX_PREFIX UNIX_HOST ":"

static bool parse_port(struct span text, uint16_t *ret_port)
{
    uint64_t port;

    if (!span_read_number(text, UINT16_MAX, &port) || port == 0)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static bool is_name_character(uint8_t c)
{
    return isalnum(c) || c == '-' || c == '_' || c == '.';
}

/* Writes the name in lower case, and the final dot as a flag. Refuses an empty label ("a..b"). Refuses a name of
 * digits and dots: it is a mistyped IPv4 address. Refuses `unix`: with its port it would read as a path. */
static bool set_name(struct span host, struct addr *addr)
{
    bool has_letter = false;
    uint8_t previous = '.';

    addr->is_absolute = host.len > 0 && host.data[host.len - 1] == '.';
    host.len -= addr->is_absolute;
    if (host.len > ADDR_HOST_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.data[i];
        if (!is_name_character(c) || (c == '.' && previous == '.'))
            return false;
        has_letter = has_letter || !(isdigit(c) || c == '.');
        addr->host[i] = (char)tolower(c);
        previous = c;
    }
    addr->kind = ADDR_NAME;
    return has_letter && previous != '.' && strcmp(addr->host, UNIX_HOST) != 0;
}

static bool is_mapped_ipv4(const uint8_t ip[16])
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(ip, prefix, sizeof(prefix)) == 0;
}

static bool set_ip(struct span host, struct addr *addr)
{
    char text[INET6_ADDRSTRLEN] = {0};

    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.data, host.len);
    if (inet_pton(AF_INET, text, addr->ip) == 1) {
        addr->kind = ADDR_IPV4;
    } else if (inet_pton(AF_INET6, text, addr->ip) == 1) {
        addr->kind = ADDR_IPV6;
        if (is_mapped_ipv4(addr->ip)) {
            memmove(addr->ip, addr->ip + 12, 4);
            memset(addr->ip + 4, 0, 12);
            addr->kind = ADDR_IPV4;
        }
    } else {
        return false;
    }
    int family = addr->kind == ADDR_IPV4 ? AF_INET : AF_INET6;
    return inet_ntop(family, addr->ip, addr->host, sizeof(addr->host)) != NULL;
}

static bool set_host(struct span host, struct addr *addr)
{
    /* A NUL inside would end the text early for inet_pton(). */
    if (host.len == 0 || memchr(host.data, '\0', host.len) != NULL)
        return false;
    return set_ip(host, addr) || set_name(host, addr);
}

bool addr_from_parts(struct span host, struct span port, struct addr *ret_addr)
{
    struct addr addr = {.kind = ADDR_NONE};

    if (!parse_port(port, &addr.port) || !set_host(host, &addr))
        return false;
    *ret_addr = addr;
    return true;
}

static bool parse_unix(struct span path, struct addr *ret_addr)
{
    struct addr addr = {.kind = ADDR_UNIX};

    if (path.len == 0 || path.len > UNIX_PATH_MAX || memchr(path.data, '\0', path.len) != NULL)
        return false;
    memcpy(addr.host, path.data, path.len);
    *ret_addr = addr;
    return true;
}

bool addr_parse(struct span text, struct addr *ret_addr)
{
    size_t prefix = sizeof(UNIX_PREFIX) - 1;
    size_t colon = text.len;

    if (text.len >= prefix && memcmp(text.data, UNIX_PREFIX, prefix) == 0)
        return parse_unix(span_of(text.data + prefix, text.len - prefix), ret_addr);
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return false;
    struct span host = span_of(text.data, colon - 1);
    struct span port = span_of(text.data + colon, text.len - colon);
    bool is_bracketed = host.data[0] == '[' && host.data[host.len - 1] == ']' && host.len > 2;
    if (is_bracketed)
        host = span_of(host.data + 1, host.len - 2);
    /* Only IPv6 has brackets, and it must have them: "::1:80" could be read in two ways. */
    if (is_bracketed != (memchr(host.data, ':', host.len) != NULL))
        return false;
    return addr_from_parts(host, port, ret_addr);
}

bool addr_equals(const struct addr *a, const struct addr *b)
{
    if (a->kind != b->kind || a->port != b->port)
        return false;
    if (a->kind == ADDR_IPV4 || a->kind == ADDR_IPV6)
        return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
    return strcmp(a->host, b->host) == 0;
}

const char *addr_format(const struct addr *addr, char out[ADDR_TEXT_MAX])
{
    const char *before = addr->kind == ADDR_IPV6 ? "[" : "";
    const char *after = addr->kind == ADDR_IPV6 ? "]" : addr->is_absolute ? "." : "";

    if (addr->kind == ADDR_UNIX)
        snprintf(out, ADDR_TEXT_MAX, UNIX_PREFIX "%s", addr->host);
    else
        snprintf(out, ADDR_TEXT_MAX, "%s%s%s:%u", before, addr->host, after, (unsigned)addr->port);
    return out;
}
