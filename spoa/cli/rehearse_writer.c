/* The part of `rehearse` that writes through HAProxy. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "spoa/cli/rehearse_state.h"
#include "spoa/cli/stopwatch.h"
#include "spoa/core/redis/reply.h"

/* Between two writes. */
#define PAUSE_MS 5

/* Sets the bit `number` of the key. After each write the key has its time to live again. */
static void set_bit(const struct rehearse *rehearse, unsigned number, struct redis_client *client,
                    struct rehearse_record *record)
{
    char text[16];
    const char *const words[] = {"SETBIT", rehearse->key, text, "1", NULL};
    const char *const expire[] = {"EXPIRE", rehearse->key, REHEARSE_KEY_LIFE_S, NULL};

    (void)snprintf(text, sizeof(text), "%u", number);
    const struct reply *reply = redis_client_ask(client, words);
    record->write.t_ended_ms = stopwatch_ms();
    if (reply != NULL && reply->kind == REPLY_INTEGER) {
        record->write.outcome = REHEARSAL_ACKNOWLEDGED;
        reply = redis_client_ask(client, expire); /* if that fails, the next write does it */
        if (reply == NULL)
            rehearse_copy_error(client, reply, record->error);
        return;
    }
    record->write.outcome = reply == NULL ? REHEARSAL_REFUSED : REHEARSAL_ASTRAY;
    rehearse_copy_error(client, reply, record->error);
}

/* Writes once, by a connection of its own. Nothing is written to a node that is not known to be in the map. */
static void attempt(const struct rehearse *rehearse, unsigned number, struct rehearse_record *record)
{
    struct redis_client client = rehearse_open_through(rehearse);

    record->write.server = rehearse_identify(rehearse, &client, record->error);
    if (record->write.server != REHEARSAL_NOBODY) {
        set_bit(rehearse, number, &client, record);
    } else {
        record->write.outcome = client.error[0] != '\0' ? REHEARSAL_REFUSED : REHEARSAL_ASTRAY;
        record->write.t_ended_ms = stopwatch_ms();
        if (record->error[0] == '\0')
            (void)snprintf(record->error, sizeof(record->error), "it is no server of the service");
    }
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
