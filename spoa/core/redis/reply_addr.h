/* Addresses and numbers in replies. Redis sends some as numbers and some as texts, and other servers the other
 * way round: both are read. */
#ifndef SPOA_CORE_REDIS_REPLY_ADDR_H
#define SPOA_CORE_REDIS_REPLY_ADDR_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/addr.h"
#include "spoa/core/redis/reply.h"

/* Reads a number from 0 to `max`. Returns false if it is none. */
bool reply_read_number(const struct reply *reply, uint64_t max, uint64_t *ret_number);

/* Reads a host and a port. */
enum reply_reading reply_read_addr(const struct reply *host, const struct reply *port, struct addr *ret_addr);

#endif
