/* Descriptors that go from one process to another through a UNIX stream socket, each with a small record. */
#ifndef SPOA_IO_NET_FD_PASS_H
#define SPOA_IO_NET_FD_PASS_H

#include <stdint.h>
#include <sys/types.h>

#include "proto/must_check.h"

/* `kind` and `value` mean what the two processes have agreed on; both are the same machine's. */
struct fd_record {
    uint32_t kind;
    uint32_t value;
};

/*
 * Sends the record, with a copy of `fd` unless that is -1. Never blocks. 0, or -1 with errno: nothing was
 * sent.
 */
MUST_CHECK int fd_pass_send(int sock, const struct fd_record *record, int fd);

/*
 * Receives a record; its descriptor, or -1 where it has none, is the caller's, close-on-exec. 1, or 0 where
 * the other side has closed, or -1 with errno. Waits as `sock` does.
 */
MUST_CHECK int fd_pass_receive(int sock, struct fd_record *ret_record, int *ret_fd);

/* The process at the other end, where it is of our user or root; else 0. */
MUST_CHECK pid_t fd_pass_peer(int sock);

#endif
