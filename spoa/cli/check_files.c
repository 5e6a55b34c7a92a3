/* The part of `check` that reads HAProxy's files. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "spoa/cli/check_state.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/haproxy_file.h"
#include "spoa/core/config/haproxy_rules.h"
#include "spoa/core/haproxy/haproxy_version.h"

/* What is read. */
struct reading {
    struct check *check;
    struct haproxy_file haproxy;
    struct haproxy_file spoe;
};

static void report_unreadable(struct check *check, const char *path, int code)
{
    findings_add(&check->findings, FINDING_UNREADABLE_FILE, (struct finding_place){.file = path}, NULL, NULL,
                 "it cannot be read: %s", strerror(code));
}

/* False with errno if it cannot be read. */
static bool read_all(const char *path, struct text *out)
{
    FILE *stream = fopen(path, "re");
    char bytes[4096];
    size_t len;

    if (stream == NULL)
        return false;
    while ((len = fread(bytes, 1, sizeof(bytes), stream)) > 0)
        text_add_bytes(out, bytes, len);
    int code = ferror(stream) ? errno : out->has_failed ? ENOMEM : 0;
    (void)fclose(stream);
    errno = code;
    return code == 0;
}

static void read_file(struct check *check, struct haproxy_file *file, const char *path, const char *origin)
{
    struct text text = {.data = NULL};

    if (read_all(path, &text))
        haproxy_file_read(file, path, origin, text.data != NULL ? text.data : "", text.len, getenv);
    else
        report_unreadable(check, path, errno);
    text_finish(&text);
}

static int is_configuration(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".cfg") == 0;
}

/* Reads a folder as HAProxy does: its files *.cfg, in the order of their names. */
static void read_folder(struct reading *reading, const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_configuration, alphasort);
    char file[PATH_MAX];

    if (count == -1)
        report_unreadable(reading->check, path, errno);
    for (int i = 0; i < count; i++) {
        (void)snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        read_file(reading->check, &reading->haproxy, file, file);
        free(entries[i]);
    }
    free(entries);
}

static void read_haproxy(struct reading *reading, const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        read_folder(reading, path);
    else
        read_file(reading->check, &reading->haproxy, path, path);
}

/* ---- the files of filters ---- */

/* Where HAProxy looks for the file: `default-path` in `global` says from where, else it is its working directory. */
static void find_path(const struct reading *reading, const struct haproxy_section *section, const char *file,
                      struct text *out)
{
    const struct haproxy_section *global = haproxy_file_find(&reading->haproxy, "global", "");
    const struct haproxy_line *line = global != NULL ? haproxy_section_last(global, "default-path") : NULL;
    const char *from = line != NULL ? haproxy_word(line, 1) : "current";
    const char *slash = strrchr(section->path, '/');
    bool is_elsewhere = file[0] != '/' && strcmp(from, "current") != 0;

    if (is_elsewhere && strcmp(from, "origin") == 0) {
        text_add(out, haproxy_word(line, 2));
        text_add(out, "/");
    } else if (is_elsewhere) {
        text_add_bytes(out, section->path, slash != NULL ? (size_t)(slash - section->path) + 1 : 0);
        text_add(out, strcmp(from, "parent") == 0 ? "../" : "");
    }
    text_add(out, file);
}

static void read_filter(void *context, const struct haproxy_section *section, const char *file)
{
    struct reading *reading = context;
    struct text path = {.data = NULL};

    if (haproxy_file_has(&reading->spoe, file))
        return;
    find_path(reading, section, file, &path);
    if (path.has_failed)
        reading->check->findings.out_of_memory = true;
    else
        read_file(reading->check, &reading->spoe, path.data, file);
    text_finish(&path);
}

/* Whether one of the HAProxys leaves clients hanging, or none told its version. */
static bool any_hangs(const struct check *check)
{
    bool any_known = false;

    for (size_t i = 0; i < check->config->haproxy.runtime_api_count; i++) {
        unsigned version = check->apis[i].version;
        any_known = any_known || version != 0;
        if (version != 0 && haproxy_hangs(version))
            return true;
    }
    return !any_known;
}

void check_files(struct check *check, const char *const *paths, size_t count)
{
    struct reading reading = {.check = check};

    for (size_t i = 0; i < count; i++)
        read_haproxy(&reading, paths[i]);
    haproxy_rules_each_filter(&reading.haproxy, read_filter, &reading);
    const struct haproxy_rules rules = {
        .config = check->config,
        .config_file = check->file,
        .haproxy = &reading.haproxy,
        .haproxy_path = count > 0 ? paths[0] : NULL,
        .spoe = &reading.spoe,
        .hangs = any_hangs(check),
        .findings = &check->findings,
    };
    if (count > 0 &&
        (reading.haproxy.count > 0 || !findings_have(&check->findings, FINDING_UNREADABLE_FILE, NULL)))
        haproxy_rules_check(&rules);
    check_sockets(check, &reading.haproxy);
    haproxy_file_finish(&reading.haproxy);
    haproxy_file_finish(&reading.spoe);
}
