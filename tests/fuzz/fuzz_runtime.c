/*
 * What HAProxy may say on its runtime API and on its master CLI: the bytes behind the first one, which says what kind of
 * visit it is. A NUL ends a reply; behind the last one HAProxy closes without a word. Taken at once and byte by byte, which
 * must come to the same. Whatever it says, it is told only what we would ever tell it, and nothing about the master.
 */
#include <string.h>

#include "proto/span.h"
#include "spoa/core/haproxy/runtime_reply.h"
#include "spoa/core/haproxy/runtime_visit.h"
#include "tests/fuzz/fuzz.h"

#define START_MS 100000
/* More lines than a visit with its looks can have. */
#define LINES_MAX 2000

/* By the first byte. */
#define IS_TRIAL 1u
#define IS_OLD 2u
#define HAS_MASTER 4u

static const char *const api_names[] = {"A"};
static char backend[] = "be";
static char *const backends[] = {backend};
static const struct service_server servers[] = {{.name = "R1"}, {.name = "R2"}, {.name = "R3"}};
static struct metrics metrics;

/* R3 is the master. */
static struct cut_debts *make_debts(void)
{
    const struct cut_service service = {
        .name = "m", .servers = servers, .server_count = 3, .backends = backends, .backend_count = 1};
    struct cut_debts *debts = cut_debts_create(api_names, 1, &metrics);

    CHECK(debts != NULL && cut_debts_add(debts, &service));
    cut_debts_name(debts, 0, "R3", START_MS);
    return debts;
}

/* ---- what we say ---- */

static bool takes(struct span *io_text, const char *beginning)
{
    size_t len = strlen(beginning);

    if (io_text->len < len || memcmp(io_text->data, beginning, len) != 0)
        return false;
    *io_text = span_of(io_text->data + len, io_text->len - len);
    return true;
}

static bool is_number(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr("0123456789abcdef", text.data[i]) == NULL)
            return false;
    return text.len > 0;
}

static void check_command(struct span command, unsigned kind)
{
    bool is_trial = (kind & IS_TRIAL) != 0;

    if ((kind & HAS_MASTER) != 0 && !span_equals_text(command, "quit"))
        CHECK(takes(&command, "@!17 "));
    if (span_equals_text(command, "show info") || span_equals_text(command, "quit"))
        return;
    if (takes(&command, "get weight be/R"))
        CHECK(is_trial && command.len == 1);
    else if (takes(&command, "shutdown sessions server "))
        CHECK(span_equals_text(command, is_trial ? "-/-" : "be/R1") || span_equals_text(command, "be/R2"));
    else if (takes(&command, "shutdown session 0x"))
        CHECK(!is_trial && is_number(command));
    else
        CHECK(!is_trial && span_equals_text(command, "show sess"));
}

static void check_line(struct span line, unsigned kind)
{
    CHECK(line.len > 0 && line.len <= RUNTIME_LINE_MAX && line.data[line.len - 1] == '\n');
    line.len--;
    for (size_t begin = 0, at = 0; at <= line.len; at++)
        if (at == line.len || line.data[at] == ';') {
            check_command(span_of(line.data + begin, at - begin), kind);
            begin = at + 1;
        }
}

/* ---- what HAProxy says ---- */

/* The next reply; its NUL is taken, too. */
static struct span next_reply(struct span *io_bytes)
{
    const uint8_t *end = io_bytes->len > 0 ? memchr(io_bytes->data, '\0', io_bytes->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - io_bytes->data) : io_bytes->len;
    struct span reply = span_of(io_bytes->data, len);
    size_t taken = end != NULL ? len + 1 : len;

    *io_bytes = span_of(io_bytes->data + taken, io_bytes->len - taken);
    return reply;
}

/* Returns the number of lines that were said. */
static unsigned visit(struct cut_items *items, const struct cut_debts *debts, unsigned kind,
                      struct span bytes, size_t step)
{
    const struct runtime_visit_options options = {
        .pid = (kind & HAS_MASTER) != 0 ? 17 : 0,
        .is_old = (kind & IS_OLD) != 0,
        .is_trial = (kind & IS_TRIAL) != 0,
        .debts = debts,
        .items = items,
    };
    struct runtime_visit *one = runtime_visit_create(&options);
    char line[RUNTIME_LINE_MAX];
    unsigned count = 0;

    CHECK(one != NULL);
    for (size_t len; (len = runtime_visit_say(one, line)) > 0; count++) {
        bool goes_on = true;
        CHECK(count < LINES_MAX);
        check_line(span_of(line, len), kind);
        struct span reply = next_reply(&bytes);
        for (size_t at = 0; goes_on && at < reply.len; at += step)
            goes_on = runtime_visit_take(one, (const char *)reply.data + at,
                                         reply.len - at < step ? reply.len - at : step);
        if (goes_on)
            runtime_visit_end_reply(one, NULL);
    }
    runtime_visit_destroy(one);
    return count;
}

static void take_worker(void *context, const char *line)
{
    (void)reply_workers_take(context, line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cut_items items = {.list = NULL};
    struct reply_workers workers = {.is_old = false};
    struct reply_lines lines;
    enum cut_outcome outcomes[3] = {CUT_CONFIRMED};

    if (size == 0)
        return 0;
    struct span bytes = span_of(data + 1, size - 1);
    struct cut_debts *debts = make_debts();
    CHECK((data[0] & IS_TRIAL) != 0 ? cut_debts_list(debts, &items)
                                    : cut_debts_take(debts, 0, START_MS, &items));
    CHECK(items.count <= 3);
    unsigned count = visit(&items, debts, data[0], bytes, bytes.len + 1);
    for (size_t i = 0; i < items.count; i++) {
        outcomes[i] = items.list[i].outcome;
        items.list[i].outcome = CUT_CONFIRMED;
    }
    CHECK(visit(&items, debts, data[0], bytes, 1) == count);
    for (size_t i = 0; i < items.count; i++)
        CHECK(items.list[i].outcome == outcomes[i]);
    reply_lines_init(&lines, take_worker, &workers);
    reply_lines_take(&lines, (const char *)bytes.data, bytes.len);
    cut_items_finish(&items);
    cut_debts_destroy(debts);
    return 0;
}
