/*
 * One line of commands on HAProxy's runtime API, on a connection of its own, as HAProxy wants it
 * (management guide, section 9.3): it answers and closes. Never blocks.
 */
#ifndef SPOA_IO_EFFECTS_RUNTIME_CALL_H
#define SPOA_IO_EFFECTS_RUNTIME_CALL_H

#include <ev.h>
#include <stddef.h>

#include "proto/addr.h"
#include "proto/must_check.h"
#include "spoa/core/haproxy/runtime_visit.h"

struct runtime_call;

/*
 * Called once, when the line can be sent. Writes the commands, with ';' between them and a line feed at the end, and returns
 * the length. 0: there is nothing to say any more, and the call is over.
 */
typedef size_t runtime_call_say(void *context, char line[RUNTIME_LINE_MAX]);

/* Called with the bytes of the reply. It may cancel the call. */
typedef void runtime_call_read(void *context, const char *bytes, size_t len);
/* Called once, when the call is over and gone. `reason` tells why it failed; NULL: it did not. */
typedef void runtime_call_ended(void *context, const char *reason);

/* `api` is numeric or a UNIX address, and borrowed. The whole call may take 2 s. NULL with errno if it cannot
 * begin; then no function is called. */
MUST_CHECK struct runtime_call *runtime_call_begin(struct ev_loop *loop, const struct addr *api,
                                                   runtime_call_say *say, runtime_call_read *on_read,
                                                   runtime_call_ended *on_ended, void *context);

/* Ends it without a word; NULL is fine. */
void runtime_call_cancel(struct runtime_call *call);

#endif
