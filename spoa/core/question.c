#include "spoa/core/question.h"

#include "proto/spop_frame.h"

/* Reads the arguments of one message. False where it is malformed. */
static bool read_arguments(struct span *payload, unsigned count, struct service_question *ret_question)
{
    for (unsigned i = 0; i < count; i++) {
        struct span name;
        struct spop_value value;
        if (!spop_kv_read(payload, &name, &value))
            return false;
        /* Given, but no text (a sample that HAProxy could not fetch): not the same as left out. */
        struct span text = value.type == SPOP_STRING ? value.text : span_of_text("");
        if (span_equals_text(name, "service"))
            ret_question->service = text;
        else if (span_equals_text(name, "role"))
            ret_question->role = text;
    }
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
        if (own.service.data != NULL)
            question = own;
        else if (own.role.data != NULL && !span_equals_text(own.role, "master"))
            question.role = own.role;
    }
    *ret_question = question;
    return found == 0;
}
