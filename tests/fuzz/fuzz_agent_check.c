/* The question of an agent-check. */
#include <string.h>

#include "spoa/core/haproxy/agent_check.h"
#include "tests/fuzz/fuzz_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct agent_check_settings settings = {
        .mode = size % 2 != 0 ? CHECK_MODE_MASTER : CHECK_MODE_PULSE, .pulse_ms = 5000};
    struct agent_checks *checks = agent_checks_create();
    struct world world;
    bool is_known = false;

    world_make(&world);
    CHECK(checks != NULL && agent_checks_add(checks, world.service, &settings));
    world_vote(&world, &world.servers[0]);
    struct span line = agent_checks_answer(checks, span_of(data, size), world.now_ms, &is_known);
    CHECK(line.len > 1 && line.data[line.len - 1] == '\n');
    CHECK(memchr(line.data, '\n', line.len) == line.data + line.len - 1);
    CHECK(is_known == (memcmp(line.data, "fail", 4) != 0));
    world_end(&world);
    agent_checks_destroy(checks);
    return 0;
}
