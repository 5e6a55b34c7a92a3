#include "spoa/io/serve/client_look.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A reply is an inet_diag_msg and attributes that we did not ask for. */
#define REPLY_MAX 512

struct request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

struct client_looker {
    int fd;
    uint32_t seq; /* of the next look's first request */
    struct request requests[CLIENT_LOOK_MAX];
    struct iovec pieces[CLIENT_LOOK_MAX];
    struct mmsghdr messages[CLIENT_LOOK_MAX];
    uint8_t replies[CLIENT_LOOK_MAX][REPLY_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct client_looker *client_looker_create(void)
{
    struct client_looker *looker = calloc(1, sizeof(*looker));

    if (looker == NULL)
        return NULL;
    looker->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (looker->fd == -1) {
        free(looker);
        return NULL;
    }
    for (size_t i = 0; i < CLIENT_LOOK_MAX; i++) {
        looker->pieces[i] = (struct iovec){looker->replies[i], REPLY_MAX};
        looker->messages[i].msg_hdr = (struct msghdr){.msg_iov = &looker->pieces[i], .msg_iovlen = 1};
    }
    return looker;
}

void client_looker_destroy(struct client_looker *looker)
{
    if (looker == NULL)
        return;
    close(looker->fd);
    free(looker);
}

/* The kernel's "source" is its own end of the socket: HAProxy's. */
static void write_request(struct request *request, const struct client *client, uint32_t seq)
{
    *request = (struct request){
        .header = {.nlmsg_len = sizeof(*request),
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST,
                   .nlmsg_seq = seq},
        .body = {.sdiag_family = client->is_ipv6 ? AF_INET6 : AF_INET,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = UINT32_MAX,
                 .id = {.idiag_sport = htons(client->dst_port),
                        .idiag_dport = htons(client->src_port),
                        .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    memcpy(request->body.id.idiag_src, client->dst, sizeof(client->dst));
    memcpy(request->body.id.idiag_dst, client->src, sizeof(client->src));
}

static enum client_state judge_tcp_state(unsigned state)
{
    switch (state) {
    case TCP_ESTABLISHED:
    case TCP_SYN_RECV:
        return CLIENT_STATE_THERE;
    case TCP_LISTEN: /* the kernel finds this if there is no connection */
        return CLIENT_STATE_ABSENT;
    case TCP_FIN_WAIT1: /* HAProxy has closed, and the client has not, or later */
    case TCP_FIN_WAIT2:
    case TCP_TIME_WAIT:
        return CLIENT_STATE_GIVEN_UP;
    default:
        return CLIENT_STATE_GONE;
    }
}

static enum client_state judge_reply(const struct nlmsghdr *header)
{
    struct inet_diag_msg found;
    struct nlmsgerr error;

    if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY && header->nlmsg_len >= NLMSG_LENGTH(sizeof(found))) {
        memcpy(&found, NLMSG_DATA(header), sizeof(found));
        return judge_tcp_state(found.idiag_state);
    }
    if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_len < NLMSG_LENGTH(sizeof(error.error)))
        return CLIENT_STATE_UNKNOWN;
    memcpy(&error.error, NLMSG_DATA(header), sizeof(error.error));
    return error.error == -ENOENT ? CLIENT_STATE_ABSENT : CLIENT_STATE_UNKNOWN;
}

/* Does not wait: the kernel answers each question before sendto() returns, so all its replies are there. */
static void read_replies(struct client_looker *looker, uint32_t first, size_t count,
                         enum client_state *ret_states)
{
    size_t found = 0;
    int got;

    while (found < count &&
           (got = recvmmsg(looker->fd, looker->messages, CLIENT_LOOK_MAX, MSG_DONTWAIT, NULL)) > 0) {
        for (int i = 0; i < got; i++) {
            struct nlmsghdr header;
            if (looker->messages[i].msg_len < sizeof(header))
                continue;
            memcpy(&header, looker->replies[i], sizeof(header));
            uint32_t index = header.nlmsg_seq - first;
            bool is_whole = header.nlmsg_len <= looker->messages[i].msg_len;
            if (index >= count || !is_whole) /* left from an earlier look that had no room */
                continue;
            ret_states[index] = judge_reply((const struct nlmsghdr *)(const void *)looker->replies[i]);
            found++;
        }
    }
}

void client_looker_look(void *context, const struct client *const *clients, size_t count,
                        enum client_state *ret_states)
{
    struct client_looker *looker = context;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    uint32_t first = looker->seq;

    looker->seq += CLIENT_LOOK_MAX;
    for (size_t i = 0; i < count; i++) {
        write_request(&looker->requests[i], clients[i], first + (uint32_t)i);
        ret_states[i] = CLIENT_STATE_UNKNOWN;
    }
    ssize_t sent = sendto(looker->fd, looker->requests, count * sizeof(*looker->requests), MSG_DONTWAIT,
                          (const struct sockaddr *)&kernel, sizeof(kernel));
    if (sent == (ssize_t)(count * sizeof(*looker->requests)))
        read_replies(looker, first, count, ret_states);
}
