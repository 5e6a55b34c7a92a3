/* A set of files, good or with a mistake, and what the rules over HAProxy's files find in it. */
#ifndef TESTS_UNIT_CORE_CONFIG_HAPROXY_RULES_FIXTURE_H
#define TESTS_UNIT_CORE_CONFIG_HAPROXY_RULES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/config_reader.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_rules.h"

#define FILE_SIZE ((size_t)32 * 1024)

enum file { AGENT, HAPROXY, SPOE, FILES };

static const char *const names[FILES] = {"sentinel-spoa.conf", "haproxy.cfg", "spoe.conf"};

/* A set of files, after edits. */
struct files {
    char text[FILES][FILE_SIZE];
};

static inline void read_text(const char *path, char text[FILE_SIZE])
{
    FILE *file = fopen(path, "re");

    if (file == NULL)
        fail_msg("%s cannot be read: the tests run in the tree's root", path);
    size_t len = fread(text, 1, FILE_SIZE - 1, file);
    text[len] = '\0';
    (void)fclose(file);
}

static inline void read_recipe(const char *folder, struct files *files)
{
    char path[256];

    for (size_t i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        read_text(path, files->text[i]);
    }
}

/* Replaces every `old`; it must be there. */
static inline void edit(char text[FILE_SIZE], const char *old, const char *new)
{
    char *rest = text;
    unsigned count = 0;

    for (char *at; (at = strstr(rest, old)) != NULL; count++) {
        size_t tail = strlen(at + strlen(old)) + 1;
        assert_true(strlen(text) + strlen(new) < FILE_SIZE);
        memmove(at + strlen(new), at + strlen(old), tail);
        memcpy(at, new, strlen(new));
        rest = at + strlen(new);
    }
    if (count == 0)
        fail_msg("nothing was edited: no '%s'", old);
}

/* The environment is empty. */
static inline char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static inline struct config *load(const char *text)
{
    struct config *config = config_create();
    struct config_errors errors = {.texts = NULL};
    struct config_reader *reader = malloc(sizeof(*reader));

    assert_non_null(config);
    assert_non_null(reader);
    config_reader_init(reader, config, names[AGENT], no_variable, &errors);
    config_reader_feed(reader, text, strlen(text));
    config_reader_end(reader);
    config_finish(config, names[AGENT], &errors);
    if (errors.count > 0)
        fail_msg("%s", errors.texts[0]);
    free(reader);
    config_errors_finish(&errors);
    return config;
}

/* The file of another program's filter. */
static const char waf_path[] = "coraza.conf";
static const char waf[] = "[coraza]\nspoe-agent coraza\n    messages check\n    use-backend be_coraza\n"
                          "    timeout processing 500ms\n"
                          "spoe-message check\n    args app=str(web)\n    event on-frontend-http-request\n";

/* Takes the one file of SPOE, whatever path leads to it, and that of the other program. */
struct filter_files {
    struct haproxy_file *spoe;
    const char *text;
};

static inline void read_filter(void *context, const struct haproxy_section *section, const char *file)
{
    struct filter_files *filters = context;

    (void)section;
    if (haproxy_file_has(filters->spoe, file))
        return;
    if (strcmp(file, waf_path) == 0)
        haproxy_file_read(filters->spoe, waf_path, file, waf, strlen(waf), no_variable);
    else
        haproxy_file_read(filters->spoe, names[SPOE], file, filters->text, strlen(filters->text),
                          no_variable);
}

static inline struct findings check(const struct files *files, bool hangs)
{
    struct findings findings = {.list = NULL};
    struct config *config = load(files->text[AGENT]);
    struct haproxy_file haproxy = {.sections = NULL};
    struct haproxy_file spoe = {.sections = NULL};
    struct filter_files filters = {.spoe = &spoe, .text = files->text[SPOE]};

    haproxy_file_read(&haproxy, names[HAPROXY], names[HAPROXY], files->text[HAPROXY],
                      strlen(files->text[HAPROXY]), no_variable);
    haproxy_rules_each_filter(&haproxy, read_filter, &filters);
    const struct haproxy_rules rules = {
        .config = config,
        .config_file = names[AGENT],
        .haproxy = &haproxy,
        .haproxy_path = names[HAPROXY],
        .spoe = &spoe,
        .hangs = hangs,
        .findings = &findings,
    };
    haproxy_rules_check(&rules);
    haproxy_file_finish(&haproxy);
    haproxy_file_finish(&spoe);
    config_destroy(config);
    assert_false(findings.out_of_memory);
    return findings;
}

static inline void check_none(const char *where, const struct files *files)
{
    struct findings findings = check(files, true);
    struct text text = {.data = NULL};

    findings_write_text(&findings, &text);
    if (findings.count > 0)
        fail_msg("%s: %s", where, text.data);
    text_finish(&text);
    findings_finish(&findings);
}

static struct files files;

struct mistake {
    enum file file; /* that is edited */
    const char *old;
    const char *new;
    enum finding_code code;
    enum file where;     /* the finding's file */
    const char *line;    /* what its line begins with */
    const char *subject; /* all subjects */
    const char *fix;     /* a part of it */
};

/* Whether the line of the edited file begins with this, blanks aside. */
static inline void check_line(const char *text, unsigned number, const char *expected)
{
    for (; number > 1; number--) {
        text = strchr(text, '\n');
        assert_non_null(text);
        text++;
    }
    text += strspn(text, " \t");
    if (strncmp(text, expected, strlen(expected)) != 0)
        fail_msg("the finding is about '%.60s', not about '%s'", text, expected);
}

static inline void check_mistake(const struct mistake *mistake)
{
    edit(files.text[mistake->file], mistake->old, mistake->new);
    struct findings findings = check(&files, true);
    struct text text = {.data = NULL};
    struct text subjects = {.data = NULL};

    findings_write_text(&findings, &text);
    if (findings.count != 1)
        fail_msg("'%s' -> '%s': %s", mistake->old, mistake->new, text.data);
    const struct finding *finding = &findings.list[0];
    assert_string_equal(finding_code_name(finding->code), finding_code_name(mistake->code));
    assert_string_equal(finding->file, names[mistake->where]);
    check_line(files.text[mistake->where], finding->line, mistake->line);
    finding_add_subjects(finding, &subjects);
    assert_string_equal(subjects.data, mistake->subject);
    if (finding->fix == NULL || strstr(finding->fix, mistake->fix) == NULL)
        fail_msg("no '%s' in '%s'", mistake->fix, finding->fix != NULL ? finding->fix : "");
    text_finish(&subjects);
    text_finish(&text);
    findings_finish(&findings);
}

#define REJECT "    tcp-request content reject unless { var(txn.redis.master) -m found }\n"

/* A website with a filter of its own. */
#define WEBSITE                                                                                              \
    "frontend web\n    mode http\n    bind :80\n    filter spoe engine coraza config coraza.conf\n"          \
    "    default_backend web_servers\n"                                                                      \
    "backend web_servers\n    mode http\n"                                                                   \
    "    default-server check on-marked-down shutdown-sessions\n    server w1 10.0.1.1:80\n"                 \
    "backend be_coraza\n    mode tcp\n    server coraza 127.0.0.1:9000\n"

#endif
