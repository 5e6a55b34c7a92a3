#include "spoa/cli/init.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/addr.h"
#include "spoa/cli/check.h"
#include "spoa/cli/init_files.h"
#include "spoa/cli/init_options.h"
#include "spoa/cli/init_survey.h"
#include "spoa/cli/options.h"
#include "spoa/core/base/text.h"
#include "spoa/core/config/config.h"
#include "spoa/core/config/config_reader.h"
#include "spoa/core/config/draft.h"
#include "spoa/core/config/haproxy_conf.h"
#include "spoa/io/process/config_file.h"

#define USER "sentinel-spoa"
#define HAPROXY_GROUP "haproxy"
#define AGENT_PATH "/etc/sentinel-spoa.conf"
#define HAPROXY_FOLDER "/etc/haproxy"

enum { FILE_AGENT, FILE_HAPROXY, FILE_SPOE, FILES };

static const char *const file_names[FILES] = {"sentinel-spoa.conf", "haproxy.cfg", "spoe.conf"};

struct init {
    struct init_options options;
    char *directory;         /* absolute */
    bool has_made_directory; /* it was not there before */
    struct init_file files[FILES];
    struct config_credentials sentinel_login;
    struct config_credentials node_login;
    struct draft draft;
};

static void print_help(void)
{
    fputs("usage: sentinel-spoa init --sentinel HOST:PORT [OPTION]...\n"
          "\n"
          "Asks a Sentinel for its masters, their replicas and the other Sentinels. Writes "
          "sentinel-spoa.conf,\n"
          "haproxy.cfg and spoe.conf, checks them, and prints what to do next.\n"
          "\n"
          "      --sentinel HOST:PORT\n"
          "                       any of the Sentinels\n"
          "      --password-file FILE\n"
          "                       the Sentinels ask for the password in the first line of FILE\n"
          "      --redis-password-file FILE\n"
          "                       Redis asks for the password in the first line of FILE\n"
          "      --user NAME      the user of these passwords, where there are ACLs\n"
          "      --haproxy VERSION\n"
          "                       of HAProxy, 2.6 or later; the files fit it and later ones (2.6)\n"
          "  -o, --output DIR     write there, and have HAProxy look there for spoe.conf; without it, write\n"
          "                       here, and have HAProxy look in " HAPROXY_FOLDER "\n"
          "      --force          replace files that are there already, and keep each as FILE.bak\n"
          "  -h, --help           print this and exit\n"
          "\n"
          "Exit codes: 0 the files are written, and `check` finds nothing; 1 `check` finds something, or\n"
          "nothing could be written; 2 the command line is wrong, or a password cannot be read.\n",
          stdout);
}

static void finish(struct init *init)
{
    if (init->has_made_directory && init->directory != NULL)
        (void)rmdir(init->directory); /* fails if the files are in it */
    for (size_t i = 0; i < FILES; i++) {
        free(init->files[i].path);
        text_finish(&init->files[i].text);
    }
    struct config_credentials *const logins[] = {&init->sentinel_login, &init->node_login};
    for (size_t i = 0; i < 2; i++) {
        free(logins[i]->username);
        free(logins[i]->password_file);
        if (logins[i]->password != NULL)
            explicit_bzero(logins[i]->password, strlen(logins[i]->password));
        free(logins[i]->password);
    }
    draft_finish(&init->draft);
    free(init->directory);
}

/* ---- before anybody is asked ---- */

/* Returns false. */
static bool fail_memory(void)
{
    fputs("init: out of memory\n", stderr);
    return false;
}

/* Reads a password. False, and said, if it cannot be read. */
static bool read_login(const char *user, const char *file, struct config_credentials *ret_login)
{
    struct config_errors errors = {.texts = NULL};
    struct config_errors warnings = {.texts = NULL};

    if (file == NULL)
        return true;
    ret_login->password_file = realpath(file, NULL);
    if (ret_login->password_file == NULL) {
        fprintf(stderr, "init: cannot read '%s': %s\n", file, strerror(errno));
        return false;
    }
    ret_login->username = user != NULL ? strdup(user) : NULL;
    config_file_read_secret(ret_login, "password", "init", &errors, &warnings);
    for (size_t i = 0; i < errors.count; i++)
        fprintf(stderr, "%s\n", errors.texts[i]);
    bool is_read = errors.count == 0 && ret_login->password != NULL;
    config_errors_finish(&errors);
    config_errors_finish(&warnings);
    return is_read;
}

/* Where the files will be. Makes the folder, but not those above it. False, and said, if that fails. */
static bool choose_paths(struct init *init)
{
    const char *directory = init->options.directory != NULL ? init->options.directory : ".";

    init->has_made_directory = mkdir(directory, 0755) == 0;
    init->directory = realpath(directory, NULL);
    if (init->directory == NULL) {
        fprintf(stderr, "init: cannot write to '%s': %s\n", directory, strerror(errno));
        return false;
    }
    init->files[FILE_AGENT].is_agents = true;
    for (size_t i = 0; i < FILES; i++)
        if (asprintf(&init->files[i].path, "%s/%s", strcmp(init->directory, "/") == 0 ? "" : init->directory,
                     file_names[i]) == -1) {
            init->files[i].path = NULL;
            return fail_memory();
        }
    return init_files_are_free(init->files, FILES, init->options.is_forced);
}

/* ---- the three texts ---- */

/* Reads the text as if it were in the file already. Passwords are not read. NULL, and said, if it is not valid or whole. */
static struct config *read_draft(const struct init_file *file)
{
    struct config_errors errors = {.texts = NULL};
    struct config *config = config_create();
    struct config_reader *reader = malloc(sizeof(*reader));
    bool has_memory = config != NULL && reader != NULL && !file->text.has_failed;

    if (has_memory) {
        config_reader_init(reader, config, file->path, getenv, &errors);
        config_reader_feed(reader, file->text.data, file->text.len);
        config_reader_end(reader);
        config_finish(config, file->path, &errors);
    }
    for (size_t i = 0; i < errors.count; i++)
        fprintf(stderr, "init: %s\n", errors.texts[i]);
    if (!has_memory || errors.out_of_memory)
        (void)fail_memory();
    if (!has_memory || errors.count > 0 || errors.out_of_memory) {
        config_destroy(config);
        config = NULL;
    }
    config_errors_finish(&errors);
    free(reader);
    return config;
}

static bool make_texts(struct init *init)
{
    const struct haproxy_conf_options options = {
        .version = init->options.haproxy,
        .spoe_path = init->options.directory != NULL ? init->files[FILE_SPOE].path : HAPROXY_CONF_SPOE_PATH,
        .is_own_host = init_is_own_host,
    };
    struct init_file *files = init->files;

    init->draft.sentinel_login = (struct draft_login){.username = init->sentinel_login.username,
                                                      .password_file = init->sentinel_login.password_file};
    init->draft.node_login = (struct draft_login){.username = init->node_login.username,
                                                  .password_file = init->node_login.password_file};
    draft_write(&init->draft, &files[FILE_AGENT].text);
    struct config *config = read_draft(&files[FILE_AGENT]);
    if (config == NULL)
        return false;
    haproxy_conf_write(config, &options, &files[FILE_HAPROXY].text);
    haproxy_conf_write_spoe(config, options.version, &files[FILE_SPOE].text);
    config_destroy(config);
    return (!files[FILE_HAPROXY].text.has_failed && !files[FILE_SPOE].text.has_failed) || fail_memory();
}

/* ---- what the agent's user may do ---- */

/* Whether the user may read the file. It is tried in a process of its own. */
static bool can_read(const struct passwd *user, const char *path)
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        bool is_user = initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
                       setuid(user->pw_uid) == 0;
        _exit(is_user && access(path, R_OK) == 0 ? 0 : 1);
    }
    return child != -1 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

/* systemd's unit of the agent hides these folders (ProtectHome, PrivateTmp). */
static bool is_hidden(const char *path)
{
    static const char *const folders[] = {"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/", NULL};

    for (const char *const *folder = folders; *folder != NULL; folder++)
        if (strncmp(path, *folder, strlen(*folder)) == 0)
            return true;
    return false;
}

static void check_password_file(const char *path)
{
    const struct passwd *user = getpwnam(USER);

    if (path == NULL || user == NULL)
        return;
    if (is_hidden(path))
        init_note("The service cannot see '%s': systemd hides this folder from it. Put the file into /etc.",
                  path);
    else if (geteuid() == 0 && !can_read(user, path))
        init_note("The user " USER " cannot read '%s': chgrp " INIT_GROUP " '%s'; chmod 640 '%s'", path, path,
                  path);
}

static bool is_member(const struct group *group, const char *name)
{
    for (char *const *member = group->gr_mem; *member != NULL; member++)
        if (strcmp(*member, name) == 0)
            return true;
    return false;
}

/* HAProxy's runtime API is for its group. */
static void check_group(void)
{
    bool has_user = getpwnam(USER) != NULL;
    const struct group *group = getgrnam(HAPROXY_GROUP);

    if (has_user && group != NULL && !is_member(group, USER))
        init_note("The user " USER " is not in the group " HAPROXY_GROUP
                  ", and cannot cut sessions: usermod -aG " HAPROXY_GROUP " " USER);
}

/* ---- afterwards ---- */

/* Writes a word for a shell. */
static void print_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+:@%,=";

    if (word[strspn(word, plain)] == '\0') {
        fputs(word, stdout);
        return;
    }
    fputc('\'', stdout);
    for (; *word != '\0'; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, stdout);
    fputc('\'', stdout);
}

/*
 * HAProxy does not run with the new file yet: its runtime API is left out. So is its file, if the other one has to be put in
 * place first.
 */
static int check_written(const struct init *init)
{
    struct config_errors errors = {.texts = NULL};
    struct config *config = config_create();
    int code = EXIT_CODE_RUNTIME;

    fputs("\nsentinel-spoa -f ", stdout);
    print_word(init->files[FILE_AGENT].path);
    fputs(" check\n", stdout);
    fflush(stdout);
    if (config != NULL && config_file_load(init->files[FILE_AGENT].path, config, &errors)) {
        size_t apis = config->haproxy.runtime_api_count;
        config->haproxy.runtime_api_count = 0;
        const char *haproxy = init->files[FILE_HAPROXY].path;
        code = check_run(config, init->files[FILE_AGENT].path, &haproxy,
                         init->options.directory != NULL ? 1 : 0, false);
        config->haproxy.runtime_api_count = apis;
    }
    for (size_t i = 0; i < errors.count; i++)
        init_note("%s", errors.texts[i]);
    config_errors_finish(&errors);
    config_destroy(config);
    return code;
}

/* A line for a shell, unless the file is in its place already. A file that is there is kept. */
static void print_copy(const char *rights, const char *from, const char *to)
{
    bool is_there = access(to, F_OK) == 0;

    if (strcmp(from, to) == 0)
        return;
    if (is_there)
        printf("  # There is a %s. This replaces it, and keeps it as %s~:\n", to, to);
    printf("  install %s%s ", is_there ? "-b " : "", rights);
    print_word(from);
    printf(" %s\n", to);
}

/* Where clients connect: the `bind` lines of haproxy.cfg. */
static void print_ports(const struct init *init)
{
    static const char frontend[] = "frontend ";
    static const char bind[] = "    bind ";
    const char *name = "";
    int name_len = 0;

    fputs("Clients connect to\n", stdout);
    for (const char *line = init->files[FILE_HAPROXY].text.data; *line != '\0';) {
        int len = (int)strcspn(line, "\n");
        if (strncmp(line, frontend, strlen(frontend)) == 0) {
            name = line + strlen(frontend);
            name_len = len - (int)strlen(frontend);
        } else if (strncmp(line, bind, strlen(bind)) == 0) {
            printf("  %-20.*s (%.*s)\n", len - (int)strlen(bind), line + strlen(bind), name_len, name);
        }
        line += len + (line[len] == '\n');
    }
    fputs("Only clients on this host reach these ports: change `bind` in haproxy.cfg for others.\n", stdout);
}

static void print_next(const struct init *init)
{
    const char *rights = getgrnam(INIT_GROUP) != NULL ? "-m 640 -g " INIT_GROUP : "-m 640";

    fputs("\nNext, as root:\n", stdout);
    print_copy(rights, init->files[FILE_AGENT].path, AGENT_PATH);
    print_copy("-m 644", init->files[FILE_HAPROXY].path, HAPROXY_FOLDER "/haproxy.cfg");
    if (init->options.directory == NULL)
        print_copy("-m 644", init->files[FILE_SPOE].path, HAPROXY_CONF_SPOE_PATH);
    else if (strcmp(init->directory, HAPROXY_FOLDER) != 0)
        printf("  # HAProxy reads %s there: leave it in place.\n", init->files[FILE_SPOE].path);
    fputs("  haproxy -c -f " HAPROXY_FOLDER "/haproxy.cfg\n"
          "  systemctl enable sentinel-spoa haproxy\n"
          "  systemctl restart sentinel-spoa haproxy\n"
          "  sentinel-spoa check\n",
          stdout);
    print_ports(init);
}

static int write_and_check(struct init *init)
{
    if (!make_texts(init) || !init_files_write(init->files, FILES))
        return EXIT_CODE_RUNTIME;
    for (size_t i = 0; i < FILES; i++)
        printf("Wrote %s\n", init->files[i].path);
    check_password_file(init->sentinel_login.password_file);
    check_password_file(init->node_login.password_file);
    check_group();
    int code = check_written(init);
    print_next(init);
    return code;
}

int init_run(int argc, char *const *argv)
{
    struct init init = {.directory = NULL};
    const struct init_options *options = &init.options;
    int code = EXIT_CODE_RUNTIME;

    if (!init_options_parse(argc, argv, &init.options))
        return EXIT_CODE_USAGE;
    if (options->help) {
        print_help();
        return EXIT_CODE_OK;
    }
    if (!read_login(options->user, options->password_file, &init.sentinel_login) ||
        !read_login(options->user, options->redis_password_file, &init.node_login))
        code = EXIT_CODE_USAGE;
    else if (choose_paths(&init) &&
             init_survey(&options->sentinel, &init.sentinel_login, &init.node_login, &init.draft))
        code = write_and_check(&init);
    finish(&init);
    return code;
}
