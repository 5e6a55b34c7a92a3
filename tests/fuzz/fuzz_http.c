/* A request over HTTP: method, path and the header Accept, each ended by a newline. */
#include <string.h>

#include "spoa/core/observers/history.h"
#include "spoa/core/status/http_routes.h"
#include "spoa/core/status/page_cursor.h"
#include "spoa/core/status/status.h"
#include "tests/fuzz/fuzz_world.h"

#define TEXT_MAX 4096

/* The next line as a text; the rest stays. */
static void take_line(struct span *rest, char text[TEXT_MAX])
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    size_t kept = len < TEXT_MAX ? len : TEXT_MAX - 1;

    if (kept > 0)
        memcpy(text, rest->data, kept);
    text[kept] = '\0';
    len += end != NULL;
    *rest = span_of(rest->data + len, rest->len - len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);
    char method[TEXT_MAX];
    char path[TEXT_MAX];
    char accept[TEXT_MAX];
    struct world world;
    static const struct history history;

    world_make(&world);
    world_vote(&world, &world.servers[0]);
    const struct voter_group *groups[] = {world.group};
    struct status status = {
        .version = "1",
        .revision = "r",
        .metrics = &world.metrics,
        .history = &history,
        .groups = groups,
        .table = world.table,
        .unknown = service_table_unknown(world.table),
        .group_count = 1,
        .is_reload_good = true,
        .now_ms = world.now_ms,
        .now_unix_ms = world.now_ms,
    };
    take_line(&rest, method);
    take_line(&rest, path);
    take_line(&rest, accept);
    struct http_request request = {.method = method, .path = path, .accept = accept};
    struct http_answer answer;
    struct page_cursor cursor = {.section = 0};
    http_respond(&status, &request, &answer);
    while (answer.page != HTTP_PAGE_NONE && http_page_write(answer.page, &status, &cursor, &answer.body))
        continue;
    CHECK(answer.code == HTTP_OK || answer.code == HTTP_NOT_FOUND || answer.code == HTTP_METHOD_NOT_ALLOWED ||
          answer.code == HTTP_UNAVAILABLE || answer.code == 204);
    CHECK(answer.type != NULL);
    text_finish(&answer.body);
    world_end(&world);
    return 0;
}
