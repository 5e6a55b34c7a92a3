#include "proto/network.h"

#include <stdio.h>
#include <string.h>

static unsigned all_bits(const struct addr *addr)
{
    return addr->kind == ADDR_IPV4 ? 32 : 128;
}

static unsigned mask_of(unsigned bits, unsigned byte)
{
    if (bits >= 8 * (byte + 1))
        return 0xff;
    return bits <= 8 * byte ? 0 : (0xffU << (8 - bits % 8)) & 0xff;
}

/* Whether the address has bits beyond the prefix. */
static bool has_host_bits(const struct network *network)
{
    for (unsigned i = 0; i < all_bits(&network->first) / 8; i++)
        if ((network->first.ip[i] & ~mask_of(network->bits, i) & 0xff) != 0)
            return true;
    return false;
}

enum network_reading network_parse(struct span text, struct network *ret_network)
{
    const uint8_t *slash = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
    size_t host_len = slash != NULL ? (size_t)(slash - text.data) : text.len;
    struct span host = span_of(text.data, host_len);
    struct network network;

    if (!addr_from_parts(host, span_of_text("1"), &network.first) ||
        (network.first.kind != ADDR_IPV4 && network.first.kind != ADDR_IPV6))
        return NETWORK_BAD;
    /* IPv6 as it was written, and IPv4 as it is: the address is an IPv4-mapped one. */
    bool is_mapped = network.first.kind == ADDR_IPV4 && memchr(host.data, ':', host.len) != NULL;
    unsigned mapped_bits = is_mapped ? ADDR_MAPPED_BITS : 0;
    uint64_t bits = mapped_bits + all_bits(&network.first);
    if (slash != NULL && !span_read_number(span_of(slash + 1, text.len - host_len - 1), bits, &bits))
        return NETWORK_BAD;
    if (bits < mapped_bits)
        return NETWORK_TOO_FEW_BITS;
    network.bits = (unsigned)bits - mapped_bits;
    if (has_host_bits(&network))
        return NETWORK_BAD;
    *ret_network = network;
    return NETWORK_OK;
}

bool network_has(const struct network *network, const struct addr *addr)
{
    if (addr->kind != network->first.kind)
        return false;
    for (unsigned i = 0; i < all_bits(addr) / 8; i++)
        if (((addr->ip[i] ^ network->first.ip[i]) & mask_of(network->bits, i)) != 0)
            return false;
    return true;
}

const char *network_format(const struct network *network, char out[NETWORK_TEXT_MAX])
{
    char ip[ADDR_IP_TEXT_MAX];

    (void)snprintf(out, NETWORK_TEXT_MAX, "%s/%u", addr_host(&network->first, ip), network->bits);
    return out;
}
