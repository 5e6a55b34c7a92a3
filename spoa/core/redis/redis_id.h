/* How Redis nodes and Sentinels identify themselves: run_id of INFO, SENTINEL MYID, CLUSTER MYID. */
#ifndef SPOA_CORE_REDIS_REDIS_ID_H
#define SPOA_CORE_REDIS_REDIS_ID_H

#include <stdbool.h>

#include "proto/span.h"
#include "spoa/core/redis/reply.h"

#define REDIS_ID_LEN 40

/* Whether `text` is an identity: REDIS_ID_LEN hexadecimal digits. */
bool redis_is_id(struct span text);

/* Reads the reply to SENTINEL MYID or CLUSTER MYID. `ret_id` is valid as long as the reply. */
enum reply_reading redis_id_read(const struct reply *reply, struct span *ret_id);

#endif
