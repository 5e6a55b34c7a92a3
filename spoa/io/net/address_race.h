/*
 * Which address of a peer is tried when (RFC 8305, "happy eyeballs"). Knows no socket and no clock: the caller
 * looks names up, connects, and says what came of it.
 *
 * A name is looked up for both families at once, as other programs do it. If that takes long, each family is
 * also looked up by itself, so that a name server that ignores questions for one of them does not hide the
 * other. The address that worked last comes first, then the families take turns. The next address is tried
 * when an attempt fails, or takes long; the earlier attempts go on.
 */
#ifndef SPOA_IO_NET_ADDRESS_RACE_H
#define SPOA_IO_NET_ADDRESS_RACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proto/must_check.h"
#include "spoa/io/net/lookup_threads.h"

/* After this time without an answer, each family is looked up by itself. */
#define ADDRESS_RACE_FAMILIES_MS 50
/* How long a look-up may take before the address that worked last is tried without it. */
#define ADDRESS_RACE_PATIENCE_MS 200
/* The next address is tried after this time at the latest. */
#define ADDRESS_RACE_STAGGER_MS 250

#define ADDRESS_RACE_TRIES_MAX LOOKUP_ADDRESSES_MAX

/* The look-ups of one name. */
enum address_source { ADDRESS_BOTH, ADDRESS_IPV6, ADDRESS_IPV4, ADDRESS_SOURCES };

enum address_state {
    ADDRESS_UNASKED,
    ADDRESS_AWAITED,
    ADDRESS_FOUND,
    ADDRESS_DENIED, /* the name does not exist, or has no such address */
    ADDRESS_FAILED, /* nobody could tell */
};

struct address_list {
    enum address_state state;
    size_t count;
    struct sockaddr_storage addresses[LOOKUP_ADDRESSES_MAX];
};

/* What is known from the attempts before. Zeroed: nothing. */
struct address_memory {
    struct sockaddr_storage good; /* worked last; AF_UNSPEC: none */
    unsigned stumbles;            /* connections in a row that were made and did not work */
};

struct address_race {
    struct address_memory memory;
    uint32_t limit_ms;
    int64_t begin_ms;
    int64_t last_try_ms;
    int64_t wake_ms; /* when to call address_race_next() if nothing happens before; INT64_MAX: never */
    struct address_list lists[ADDRESS_SOURCES];
    struct sockaddr_storage tried[ADDRESS_RACE_TRIES_MAX];
    size_t tried_count;
    size_t open; /* attempts that go on */
};

enum address_action {
    ADDRESS_WAIT,         /* see wake_ms */
    ADDRESS_ASK_FAMILIES, /* look ADDRESS_IPV6 and ADDRESS_IPV4 up */
    ADDRESS_TRY,          /* connect to the address */
    ADDRESS_FAIL,         /* every attempt failed, or there is no address */
};

/* `limit_ms`: how long connecting may take; all addresses are tried in its first half. A name: the caller
 * looks ADDRESS_BOTH up now. */
void address_race_begin(struct address_race *race, const struct address_memory *memory, uint32_t limit_ms,
                        int64_t now_ms);

/* The answer of a look-up. Of `addresses`, at most LOOKUP_ADDRESSES_MAX are used, if `state` is ADDRESS_FOUND. */
void address_race_answer(struct address_race *race, enum address_source source, enum address_state state,
                         const struct sockaddr_storage *addresses, size_t count);

/* An attempt to connect failed. */
void address_race_lost(struct address_race *race);

/* What to do now; to be called after every event until it says ADDRESS_WAIT or ADDRESS_FAIL. With ADDRESS_TRY
 * `ret_address` is valid until the race begins again. */
MUST_CHECK enum address_action address_race_next(struct address_race *race, int64_t now_ms,
                                                 const struct sockaddr_storage **ret_address);

#endif
