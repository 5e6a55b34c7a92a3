#include "proto/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#include "proto/names.h"

_Static_assert(sizeof(struct addr) == 24, "an address is small");
_Static_assert(ADDR_IP_TEXT_MAX == INET6_ADDRSTRLEN, "room for an IP address");

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

/* Where the text of a name comes from. */
typedef const char *(*keep_fn)(struct span text);

static const char *keep_told(struct span text)
{
    const char *name = names_keep_told(text);

    return name != NULL ? name : ADDR_FORGOTTEN_NAME;
}

/* Keeps the name in lower case, and the final dot as a flag. Refuses an empty label ("a..b"). Refuses a name of
 * digits and dots: it is a mistyped IPv4 address. Refuses `unix`: with its port it would read as a path. */
static bool set_name(struct span host, keep_fn keep, struct addr *addr)
{
    char text[ADDR_HOST_MAX + 1] = "";
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
        text[i] = (char)tolower(c);
        previous = c;
    }
    if (!has_letter || previous == '.' || strcmp(text, UNIX_HOST) == 0)
        return false;
    addr->kind = ADDR_NAME;
    addr->name = keep(span_of(text, host.len));
    return addr->name != NULL;
}

static bool is_mapped_ipv4(const uint8_t ip[16])
{
    static const uint8_t prefix[ADDR_MAPPED_BITS / 8] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    return memcmp(ip, prefix, sizeof(prefix)) == 0;
}

struct addr addr_from_ip(const uint8_t *ip, enum addr_kind kind, uint16_t port)
{
    struct addr addr = {.kind = kind, .port = port};

    if (kind == ADDR_IPV6 && is_mapped_ipv4(ip)) {
        addr.kind = ADDR_IPV4;
        ip += ADDR_MAPPED_BITS / 8;
    }
    memcpy(addr.ip, ip, addr.kind == ADDR_IPV4 ? 4 : 16);
    return addr;
}

static bool set_ip(struct span host, struct addr *addr)
{
    char text[INET6_ADDRSTRLEN] = {0};
    uint8_t ip[16];

    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.data, host.len);
    if (inet_pton(AF_INET, text, ip) == 1)
        *addr = addr_from_ip(ip, ADDR_IPV4, addr->port);
    else if (inet_pton(AF_INET6, text, ip) == 1)
        *addr = addr_from_ip(ip, ADDR_IPV6, addr->port);
    else
        return false;
    return true;
}

static bool set_host(struct span host, keep_fn keep, struct addr *addr)
{
    /* A NUL inside would end the text early for inet_pton(). */
    if (host.len == 0 || memchr(host.data, '\0', host.len) != NULL)
        return false;
    return set_ip(host, addr) || set_name(host, keep, addr);
}

static bool from_parts(struct span host, struct span port, keep_fn keep, struct addr *ret_addr)
{
    struct addr addr = {.kind = ADDR_NONE};

    if (!parse_port(port, &addr.port) || !set_host(host, keep, &addr))
        return false;
    *ret_addr = addr;
    return true;
}

bool addr_from_parts(struct span host, struct span port, struct addr *ret_addr)
{
    return from_parts(host, port, names_keep, ret_addr);
}

bool addr_from_peer(struct span host, struct span port, struct addr *ret_addr)
{
    return from_parts(host, port, keep_told, ret_addr);
}

static bool parse_unix(struct span path, struct addr *ret_addr)
{
    struct addr addr = {.kind = ADDR_UNIX};

    if (path.len == 0 || path.len > UNIX_PATH_MAX || memchr(path.data, '\0', path.len) != NULL)
        return false;
    addr.name = names_keep(path);
    if (addr.name == NULL)
        return false;
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
    bool is_bracketed = host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (is_bracketed)
        host = span_of(host.data + 1, host.len - 2);
    /* Only IPv6 has brackets, and it must have them: "::1:80" could be read in two ways. */
    if (is_bracketed != (memchr(host.data, ':', host.len) != NULL))
        return false;
    return addr_from_parts(host, port, ret_addr);
}

bool addr_is_same_host(const struct addr *a, const struct addr *b)
{
    if (a->kind != b->kind)
        return false;
    /* There is one copy of each name. */
    return a->kind == ADDR_NAME || a->kind == ADDR_UNIX ? a->name == b->name
                                                        : memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool addr_equals(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_is_same_host(a, b);
}

bool addr_is_wildcard(const struct addr *addr)
{
    static const uint8_t any[sizeof(addr->ip)];

    return (addr->kind == ADDR_IPV4 || addr->kind == ADDR_IPV6) && memcmp(addr->ip, any, sizeof(any)) == 0;
}

/* "localhost", and what ends in ".localhost" (RFC 6761 6.3). */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host);
    size_t name_len = sizeof(name) - 1;

    return len >= name_len && strcmp(host + len - name_len, name) == 0 &&
           (len == name_len || host[len - name_len - 1] == '.');
}

bool addr_is_loopback(const struct addr *addr)
{
    static const uint8_t zeros[16] = {0};

    switch (addr->kind) {
    case ADDR_IPV4:
        return addr->ip[0] == 127 || memcmp(addr->ip, zeros, 4) == 0;
    case ADDR_IPV6:
        return memcmp(addr->ip, zeros, 15) == 0 && addr->ip[15] <= 1;
    case ADDR_NAME:
        return is_localhost(addr->name);
    case ADDR_UNIX:
        return true;
    case ADDR_NONE:
        break;
    }
    return false;
}

/* Without inet_ntop(), which takes ten times as long: pages of thousands of services are full of addresses. */
static void write_ipv4(const uint8_t ip[4], char out[ADDR_IP_TEXT_MAX])
{
    for (int i = 0; i < 4; i++) {
        uint8_t byte = ip[i];
        if (i > 0)
            *out++ = '.';
        if (byte >= 100)
            *out++ = (char)('0' + byte / 100);
        if (byte >= 10)
            *out++ = (char)('0' + byte / 10 % 10);
        *out++ = (char)('0' + byte % 10);
    }
    *out = '\0';
}

const char *addr_host(const struct addr *addr, char out[ADDR_IP_TEXT_MAX])
{
    switch (addr->kind) {
    case ADDR_IPV4:
        write_ipv4(addr->ip, out);
        return out;
    case ADDR_IPV6:
        return inet_ntop(AF_INET6, addr->ip, out, ADDR_IP_TEXT_MAX);
    case ADDR_NAME:
    case ADDR_UNIX:
        return addr->name;
    case ADDR_NONE:
        break;
    }
    return "";
}

const char *addr_format(const struct addr *addr, char out[ADDR_TEXT_MAX])
{
    const char *before = addr->kind == ADDR_IPV6 ? "[" : "";
    const char *after = addr->kind == ADDR_IPV6 ? "]" : addr->is_absolute ? "." : "";
    char ip[ADDR_IP_TEXT_MAX];
    const char *host = addr_host(addr, ip);

    if (addr->kind == ADDR_UNIX)
        snprintf(out, ADDR_TEXT_MAX, UNIX_PREFIX "%s", host);
    else
        snprintf(out, ADDR_TEXT_MAX, "%s%s%s:%u", before, host, after, (unsigned)addr->port);
    return out;
}
