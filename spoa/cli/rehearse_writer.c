/* The part of `rehearse` that writes through HAProxy. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "spoa/cli/rehearse_state.h"
#include "spoa/core/redis/reply.h"

/* Between two writes. */
#define PAUSE_MS 5

/* Sets the bit `number` of the key, and asks before which node that is. */
static void attempt(const struct rehearse *rehearse, unsigned number, struct rehearse_record *record)
{
    struct redis_client client = rehearse_open_through(rehearse);
    const struct reply *reply = NULL;
    char text[16];
    const char *const words[] = {"SETBIT", rehearse->key, text, "1", NULL};

    (void)snprintf(text, sizeof(text), "%u", number);
    record->write.server = rehearse_identify(rehearse, &client, record->error);
    if (client.parser != NULL)
        reply = redis_client_ask(&client, words);
    if (reply == NULL)
        record->write.outcome = REHEARSAL_REFUSED;
    else if (reply->kind == REPLY_INTEGER)
        record->write.outcome = REHEARSAL_ACKNOWLEDGED;
    else
        record->write.outcome = REHEARSAL_ASTRAY;
    if (record->write.outcome != REHEARSAL_ACKNOWLEDGED)
        rehearse_copy_error(&client, reply, record->error);
    record->write.t_ended_ms = rehearse_now_ms();
    redis_client_close(&client);
}

void rehearse_write_all(const struct rehearse *rehearse, int pipe)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

    for (unsigned number = 0; number < REHEARSAL_WRITES_MAX; number++) {
        struct rehearse_record record;
        memset(&record, 0, sizeof(record));
        attempt(rehearse, number, &record);
        if (write(pipe, &record, sizeof(record)) != (ssize_t)sizeof(record))
            return;
        (void)nanosleep(&pause, NULL);
    }
}
