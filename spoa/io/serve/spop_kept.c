#include "spoa/io/serve/spop_kept.h"

#include <utlist.h>

#include "spoa/core/base/log.h"
#include "spoa/io/serve/spop_connection.h"
#include "spoa/io/serve/spop_connection_struct.h"
#include "spoa/io/serve/spop_context.h"

/* What all connections together may keep from one event to the next. Beyond it the one goes that keeps the most. */
#define KEPT_MAX ((size_t)16 * 1024 * 1024)

static size_t weight(const struct spop_connection *connection)
{
    return connection->in.size + connection->out.size;
}

/* The one of the others that keeps the most; NULL where there is none that keeps more than `least`. */
static struct spop_connection *find_fattest(const struct spop_connection *connection, size_t least)
{
    struct spop_connection *fattest = NULL;
    struct spop_connection *other;
    size_t most = least;

    DL_FOREACH (connection->context->connections, other) {
        if (other == connection || weight(other) <= most)
            continue;
        fattest = other;
        most = weight(other);
    }
    return fattest;
}

/*
 * Sees to it that this connection may keep so many bytes more. For that others that keep more than it have to go: they do
 * not take their answers. False where it is the one that keeps the most.
 */
static bool make_room(const struct spop_connection *connection, size_t more)
{
    const struct spop_context *context = connection->context;

    while (context->kept + more > KEPT_MAX) {
        struct spop_connection *fattest = find_fattest(connection, weight(connection) + more);
        log_event(EVENT_SPOP_MEMORY_LIMIT, log_number("bytes", (int64_t)KEPT_MAX));
        if (fattest == NULL)
            return false;
        spop_connection_close(fattest);
    }
    return true;
}

bool spop_kept_store(struct spop_connection *connection, struct buffer *buffer, struct span bytes)
{
    struct spop_context *context = connection->context;
    size_t more = bytes.len > buffer->size ? bytes.len - buffer->size : 0;

    if (!make_room(connection, more))
        return false;
    context->kept -= buffer->size;
    bool is_kept = buffer_store(buffer, bytes);
    context->kept += buffer->size;
    return is_kept;
}

void spop_kept_consume(struct spop_connection *connection, struct buffer *buffer, size_t len)
{
    connection->context->kept -= buffer->size;
    buffer_consume(buffer, len);
    connection->context->kept += buffer->size;
}

void spop_kept_finish(struct spop_connection *connection)
{
    connection->context->kept -= weight(connection);
    buffer_finish(&connection->in);
    buffer_finish(&connection->out);
}
