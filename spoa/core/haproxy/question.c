#include "spoa/core/haproxy/question.h"

#include <string.h>

#include "proto/spop_frame.h"

/* Reads the arguments of one message. False if it is malformed. */
static bool read_arguments(struct span *payload, unsigned count, struct service_question *ret_question)
{
    struct client_arguments client = {.given = 0};

    for (unsigned i = 0; i < count; i++) {
        struct span name;
        struct spop_value value;
        if (!spop_kv_read(payload, &name, &value))
            return false;
        /* An argument that is no text (HAProxy could not fetch the sample) counts as sent, but empty. */
        struct span text = value.type == SPOP_STRING ? value.text : span_of_text("");
        if (span_equals_text(name, "service"))
            ret_question->service = text;
        else if (span_equals_text(name, "role"))
            ret_question->role = text;
        client_take_argument(&client, name, &value);
    }
    ret_question->client = client_of(&client);
    return true;
}

bool question_read(struct span payload, struct service_question *ret_question)
{
    struct service_question question = {.service = {.data = NULL}};
    struct spop_message message;
    int found;

    while ((found = spop_message_read(&payload, &message)) > 0) {
        struct service_question own = {.service = {.data = NULL}};
        if (!read_arguments(&payload, message.arg_count, &own))
            return false;
        if (question.service.data != NULL)
            continue;
        if (own.service.data != NULL) {
            question = own;
            continue;
        }
        if (own.role.data != NULL && !span_equals_text(own.role, "master"))
            question.role = own.role;
        if (own.client.kind != CLIENT_NOT_GIVEN)
            question.client = own.client;
    }
    *ret_question = question;
    return found == 0;
}

struct client question_client(struct span payload)
{
    struct service_question question;

    return question_read(payload, &question) ? question.client : (struct client){.kind = CLIENT_NOT_GIVEN};
}

/* The position after the text at `at`, whose length is in the one byte before it. SIZE_MAX if the length
 * takes more bytes, or the text does not end within the payload. */
static size_t skip_text(struct span payload, size_t at)
{
    if (at >= payload.len || payload.data[at] >= VARINT_ONE_BYTE_LIMIT)
        return SIZE_MAX;
    size_t next = at + 1 + payload.data[at];
    return next <= payload.len ? next : SIZE_MAX;
}

size_t question_common_len(struct span payload)
{
    static const char src[] = "\3src";
    size_t at = skip_text(payload, 0);

    if (at >= payload.len)
        return payload.len;
    unsigned count = payload.data[at++];
    for (unsigned i = 0; i < count && payload.len - at >= sizeof(src) - 1; i++) {
        if (memcmp(payload.data + at, src, sizeof(src) - 1) == 0)
            return at;
        at = skip_text(payload, at);
        if (at >= payload.len || payload.data[at] != SPOP_STRING)
            break;
        at = skip_text(payload, at + 1);
        if (at >= payload.len)
            break;
    }
    return payload.len;
}
