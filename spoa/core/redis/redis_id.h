/* How Redis nodes and Sentinels say who they are: run_id of INFO, SENTINEL MYID, CLUSTER MYID. */
#ifndef SPOA_CORE_REDIS_REDIS_ID_H
#define SPOA_CORE_REDIS_REDIS_ID_H

#include <stdbool.h>

#include "proto/span.h"

#define REDIS_ID_LEN 40

/* Whether `text` is an identity: REDIS_ID_LEN hexadecimal digits. */
bool redis_is_id(struct span text);

#endif
