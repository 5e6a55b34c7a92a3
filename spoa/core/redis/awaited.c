#include "spoa/core/redis/awaited.h"

void awaited_init(struct awaited *awaited, struct awaited_room room)
{
    *awaited = (struct awaited){.room = room};
}

void awaited_forget(struct awaited *awaited)
{
    awaited->head = 0;
    awaited->count = 0;
}

bool awaited_is_full(const struct awaited *awaited)
{
    return awaited->count == awaited->room.size;
}

static struct awaited_run *run_at(const struct awaited *awaited, unsigned position)
{
    return &awaited->room.runs[(awaited->head + position) % awaited->room.size];
}

static bool continues(const struct awaited_run *run, const struct awaited_request *request)
{
    return !run->is_endless && run->first.kind == request->kind &&
           run->first.t_sent_ms == request->t_sent_ms && run->first.subject + run->count == request->subject;
}

void awaited_add(struct awaited *awaited, const struct awaited_request *request)
{
    if (awaited->count > 0) {
        struct awaited_run *last = run_at(awaited, awaited->count - 1);
        if (continues(last, request)) {
            last->count++;
            return;
        }
    }
    *run_at(awaited, awaited->count) = (struct awaited_run){.first = *request, .count = 1};
    awaited->count++;
}

bool awaited_next(const struct awaited *awaited, struct awaited_request *ret_request)
{
    if (awaited->count == 0)
        return false;
    const struct awaited_run *run = run_at(awaited, 0);
    *ret_request = run->first;
    ret_request->subject += run->answered;
    return true;
}

void awaited_finish(struct awaited *awaited)
{
    struct awaited_run *run = run_at(awaited, 0);

    if (++run->answered < run->count)
        return;
    awaited->head = (awaited->head + 1) % awaited->room.size;
    awaited->count--;
}

void awaited_go_on(struct awaited *awaited)
{
    run_at(awaited, 0)->is_endless = true;
}

int64_t awaited_oldest_ms(const struct awaited *awaited)
{
    for (unsigned i = 0; i < awaited->count; i++) {
        const struct awaited_run *run = run_at(awaited, i);
        if (!run->is_endless)
            return run->first.t_sent_ms;
    }
    return INT64_MAX;
}
