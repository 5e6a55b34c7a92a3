#include "spoa/cli/init_files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The most files. */
#define FILES_MAX 3

/* What a file that is replaced is called then. */
#define KEPT ".bak"
/* As mkstemp(3) wants it. */
#define SUFFIX ".XXXXXX"

bool init_files_are_free(const struct init_file *files, size_t count, bool may_replace)
{
    bool are_free = true;
    struct stat status;

    for (size_t i = 0; i < count; i++) {
        if (lstat(files[i].path, &status) == -1 || (may_replace && !S_ISDIR(status.st_mode)))
            continue;
        fprintf(stderr, "init: %s is there already: %s-o DIR writes elsewhere\n", files[i].path,
                S_ISDIR(status.st_mode) ? "" : "--force replaces it, ");
        are_free = false;
    }
    return are_free;
}

/* Gives the open file its rights. Without root, or without the group, it stays with the user who runs init. */
static bool give_rights(int fd, const struct init_file *file)
{
    const struct group *group = file->is_agents && geteuid() == 0 ? getgrnam(INIT_GROUP) : NULL;

    return fchmod(fd, file->is_agents ? 0640 : 0644) == 0 &&
           (group == NULL || fchown(fd, (uid_t)-1, group->gr_gid) == 0);
}

static bool write_bytes(int fd, const struct text *text)
{
    FILE *stream = fdopen(fd, "w");

    if (stream == NULL) {
        close(fd);
        return false;
    }
    bool is_written =
        fwrite(text->data, 1, text->len, stream) == text->len && fflush(stream) == 0 && fsync(fd) == 0;
    return (fclose(stream) == 0) && is_written;
}

/* Writes the file under another name beside its place. NULL, with errno, if that fails. */
static char *write_aside(const struct init_file *file)
{
    char *aside = NULL;

    if (asprintf(&aside, "%s" SUFFIX, file->path) == -1)
        return NULL;
    int fd = mkostemp(aside, O_CLOEXEC);
    bool has_rights = fd != -1 && give_rights(fd, file);
    if (has_rights && write_bytes(fd, &file->text))
        return aside;
    int code = errno;
    if (fd != -1)
        (void)unlink(aside);
    if (fd != -1 && !has_rights)
        close(fd);
    free(aside);
    errno = code;
    return NULL;
}

/* Keeps the file that is there, if there is one. One is kept: the newest. False, with errno, if that fails. */
static bool keep_former(const struct init_file *file)
{
    char *kept = NULL;
    struct stat status;

    if (lstat(file->path, &status) == -1)
        return errno == ENOENT;
    if (asprintf(&kept, "%s" KEPT, file->path) == -1)
        return false;
    bool is_kept = (unlink(kept) == 0 || errno == ENOENT) && link(file->path, kept) == 0;
    int code = errno;
    if (is_kept)
        printf("Kept the former file as %s\n", kept);
    free(kept);
    errno = code;
    return is_kept;
}

static bool place(const char *aside, const struct init_file *file)
{
    return keep_former(file) && rename(aside, file->path) == 0;
}

bool init_files_write(const struct init_file *files, size_t count)
{
    char *asides[FILES_MAX] = {NULL};
    size_t written = 0;
    size_t placed = 0;

    while (written < count && (asides[written] = write_aside(&files[written])) != NULL)
        written++;
    while (written == count && placed < count && place(asides[placed], &files[placed]))
        placed++;
    if (placed < count)
        fprintf(stderr, "init: cannot write %s: %s\n", files[written < count ? written : placed].path,
                strerror(errno));
    for (size_t i = 0; i < written; i++) {
        if (i >= placed)
            (void)unlink(asides[i]);
        free(asides[i]);
    }
    return placed == count;
}
