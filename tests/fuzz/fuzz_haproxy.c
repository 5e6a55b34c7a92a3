/* HAProxy's files: whatever stands in them, they are read and judged, and the findings are JSON and text. The input is
 * haproxy.cfg, and behind a NUL byte the file of its filters. */
#include <string.h>

#include "spoa/core/base/findings.h"
#include "spoa/core/base/json.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/config_reader.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_rules.h"
#include "tests/fuzz/fuzz.h"

static const char agent[] = "[haproxy]\nruntime-api = /run/haproxy/admin.sock\nbackend = be_redis\n"
                            "[sentinels]\naddress = 10.0.0.11:26379\n"
                            "[service mymaster]\nserver = R1 10.0.0.11:6379\nserver = R2 10.0.0.12:6379\n"
                            "[service other]\nserver = R3 redis-3:6379\n";

static char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static struct config *load(void)
{
    struct config *config = config_create();
    struct config_errors errors = {.texts = NULL};
    struct config_reader *reader = malloc(sizeof(*reader));

    CHECK(config != NULL && reader != NULL);
    config_reader_init(reader, config, "agent", no_variable, &errors);
    config_reader_feed(reader, agent, strlen(agent));
    config_reader_end(reader);
    config_finish(config, "agent", &errors);
    CHECK(errors.count == 0);
    free(reader);
    return config;
}

struct input {
    struct haproxy_file spoe;
    const char *text;
    size_t len;
};

static void read_filter(void *context, const struct haproxy_section *section, const char *file)
{
    struct input *input = context;

    (void)section;
    if (input->spoe.count == 0)
        haproxy_file_read(&input->spoe, "spoe.conf", file, input->text, input->len, no_variable);
}

static void write_findings(const struct findings *findings)
{
    struct text out = {.data = NULL};
    struct json json = json_of(&out);

    json_begin_object(&json, NULL);
    findings_write_json(findings, &json, "findings");
    json_end(&json);
    findings_write_text(findings, &out);
    CHECK(!out.has_failed);
    text_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config *config;
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t len = end != NULL ? (size_t)(end - data) : size;
    struct input input = {.text = (const char *)data + len + (end != NULL),
                          .len = size - len - (end != NULL)};
    struct haproxy_file haproxy = {.sections = NULL};
    struct findings findings = {.list = NULL};

    if (config == NULL)
        config = load();
    haproxy_file_read(&haproxy, "haproxy.cfg", "haproxy.cfg", (const char *)data, len, no_variable);
    haproxy_rules_each_filter(&haproxy, read_filter, &input);
    const struct haproxy_rules rules = {
        .config = config,
        .config_file = "agent",
        .haproxy = &haproxy,
        .spoe = &input.spoe,
        .hangs = true,
        .findings = &findings,
    };
    haproxy_rules_check(&rules);
    CHECK(!findings.out_of_memory);
    write_findings(&findings);
    findings_finish(&findings);
    haproxy_file_finish(&haproxy);
    haproxy_file_finish(&input.spoe);
    return 0;
}
