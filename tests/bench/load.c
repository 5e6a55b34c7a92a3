/*
 * load ADDRESS PID CONNECTIONS DEPTH BATCH SERVICES IDLE SECONDS: asks an SPOP agent as fast as it answers,
 * with DEPTH NOTIFYs in flight on each connection and at most BATCH of them in one write. ADDRESS is
 * HOST:PORT or unix:/PATH. It asks for so many services, "s00000" and so on, by turns. IDLE more connections
 * say HELLO and nothing else. Prints one line of JSON: answers, their rate, the latency in microseconds, the
 * processor time that PID, which is the agent and has one thread, used meanwhile, and its memory.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/spop_frame.h"
#include "tests/bench/bench.h"

#define IN_SIZE ((size_t)16 * 1024)
#define DEPTH_MAX 128
#define NOTIFY_SIZE 128
#define SLOW_US 10000
/* Without a common factor with a number of services: no order that memory would be fetched ahead in. */
#define STEP 7919

struct connection {
    int fd;
    size_t kept; /* bytes of a frame that is not whole yet */
    uint8_t in[IN_SIZE];
    int64_t sent_ns[DEPTH_MAX]; /* a ring: answers come in the order of the questions */
    unsigned head;
};

struct notify {
    size_t len;
    uint8_t bytes[NOTIFY_SIZE];
};

struct setting {
    const char *address;
    const char *pid;
    unsigned connections;
    unsigned depth;
    unsigned batch;
    unsigned services;
    unsigned idle;
    double seconds;
};

static struct setting setting;
static struct notify *notifies; /* one per service */
static unsigned next_notify;
static struct latencies latencies; /* of all answers */

/* ---- what the operating system says of the agent ---- */

static void read_file(const char *name, char *text, size_t size)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/%s", setting.pid, name);
    FILE *file = fopen(path, "re");
    size_t len = file != NULL ? fread(text, 1, size - 1, file) : 0;
    if (len == 0)
        die(path);
    text[len] = '\0';
    fclose(file);
}

static long long cpu_ns(void)
{
    char text[128];

    read_file("schedstat", text, sizeof(text));
    return strtoll(text, NULL, 10);
}

static long long resident_bytes(void)
{
    char text[128];

    read_file("statm", text, sizeof(text));
    const char *pages = strchr(text, ' ');
    return pages != NULL ? strtoll(pages, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

/* ---- frames; ids are of one byte each ---- */

static size_t put_frame(uint8_t *out, uint8_t type, uint8_t frame_id, const struct sink *payload,
                        const uint8_t *data)
{
    size_t len = (size_t)(payload->at - data);
    const uint8_t head[] = {
        0, 0, 0, (uint8_t)(SPOP_FRAME_MIN + len), type, 0, 0, 0, SPOP_FLAG_FIN, frame_id, frame_id};

    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), data, len);
    return sizeof(head) + len;
}

static void say_hello(int fd)
{
    uint8_t data[200];
    uint8_t out[256];
    struct sink payload = sink_of(data, sizeof(data));
    struct spop_value versions = spop_text(span_of_text(SPOP_VERSION));
    struct spop_value size = spop_uint32(16380);
    struct spop_value capabilities = spop_text(span_of_text("pipelining"));

    spop_kv_write(&payload, "supported-versions", &versions);
    spop_kv_write(&payload, "max-frame-size", &size);
    spop_kv_write(&payload, "capabilities", &capabilities);
    size_t len = put_frame(out, SPOP_HAPROXY_HELLO, 0, &payload, data);
    if (write(fd, out, len) != (ssize_t)len || read(fd, out, sizeof(out)) < SPOP_FRAME_MIN)
        die("hello");
}

/* What HAProxy sends with the shipped spoe.conf. */
static void make_notify(struct notify *notify, const char *name)
{
    uint8_t data[NOTIFY_SIZE];
    struct sink payload = sink_of(data, sizeof(data) - 16);
    struct spop_value service = spop_text(span_of_text(name));
    struct spop_value role = spop_text(span_of_text("master"));
    struct spop_value src = {.type = SPOP_IPV4, .ipv4 = {10, 0, 0, 9}};
    struct spop_value src_port = spop_int64(40000);
    struct spop_value dst = {.type = SPOP_IPV4, .ipv4 = {10, 0, 0, 1}};
    struct spop_value dst_port = spop_int64(6379);

    spop_name_write(&payload, span_of_text("find-master"));
    sink_put_byte(&payload, 6);
    spop_kv_write(&payload, "service", &service);
    spop_kv_write(&payload, "role", &role);
    spop_kv_write(&payload, "src", &src);
    spop_kv_write(&payload, "src_port", &src_port);
    spop_kv_write(&payload, "dst", &dst);
    spop_kv_write(&payload, "dst_port", &dst_port);
    notify->len = put_frame(notify->bytes, SPOP_NOTIFY, 1, &payload, data);
}

static void make_notifies(void)
{
    char name[16];

    notifies = calloc(setting.services, sizeof(*notifies));
    if (notifies == NULL)
        die("notifies");
    for (unsigned i = 0; i < setting.services; i++) {
        snprintf(name, sizeof(name), "s%05u", i);
        make_notify(&notifies[i], name);
    }
}

/* ---- connections ---- */

static int connect_to(const char *address)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    bool is_unix = strncmp(address, "unix:", 5) == 0;
    const char *port = strrchr(address, ':') + 1;
    const int on = 1;
    int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connected;

    if (is_unix) {
        snprintf(local.sun_path, sizeof(local.sun_path), "%s", port);
        connected = connect(fd, (struct sockaddr *)&local, sizeof(local));
    } else {
        char host[64];
        snprintf(host, sizeof(host), "%.*s", (int)(port - 1 - address), address);
        ipv4.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
        if (inet_pton(AF_INET, host, &ipv4.sin_addr) != 1)
            die("address");
        connected = connect(fd, (struct sockaddr *)&ipv4, sizeof(ipv4));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    if (connected == -1)
        die("connect");
    say_hello(fd);
    return fd;
}

static void ask_batch(struct connection *connection, unsigned count)
{
    static uint8_t out[DEPTH_MAX * NOTIFY_SIZE];
    size_t len = 0;
    int64_t now = now_ns();

    for (unsigned i = 0; i < count; i++) {
        const struct notify *notify = &notifies[next_notify];
        next_notify = (next_notify + STEP) % setting.services;
        memcpy(out + len, notify->bytes, notify->len);
        len += notify->len;
        connection->sent_ns[connection->head] = now;
        connection->head = (connection->head + 1) % setting.depth;
    }
    if (write(connection->fd, out, len) != (ssize_t)len)
        die("write");
}

static void ask(struct connection *connection, unsigned count)
{
    while (count > 0) {
        unsigned batch = count < setting.batch ? count : setting.batch;
        ask_batch(connection, batch);
        count -= batch;
    }
}

/* Reads once; returns how many answers came. */
static unsigned take(struct connection *connection)
{
    unsigned count = 0;
    ssize_t got = read(connection->fd, connection->in + connection->kept, IN_SIZE - connection->kept);

    if (got <= 0)
        die("read");
    size_t len = connection->kept + (size_t)got;
    size_t taken = 0;
    int64_t now = now_ns();
    for (;;) {
        struct spop_frame frame;
        int size = spop_frame_parse(connection->in + taken, len - taken, 16380, &frame);
        if (size <= 0)
            break;
        if (frame.type != SPOP_ACK)
            die("not an ACK");
        latencies_note(&latencies, now - connection->sent_ns[(connection->head + count) % setting.depth]);
        taken += (size_t)size;
        count++;
    }
    connection->kept = len - taken;
    memmove(connection->in, connection->in + taken, connection->kept);
    return count;
}

/* ---- the run ---- */

static void print_result(double took_s, long long used_ns)
{
    const struct latencies *all = &latencies;

    printf("{\"answers\": %llu, \"per_s\": %.0f, \"p50_us\": %d, \"p99_us\": %d, \"p999_us\": %d, "
           "\"max_us\": %lld, \"over_10ms\": %llu, \"cpu_ns\": %lld, \"resident_bytes\": %lld}\n",
           (unsigned long long)all->total, (double)all->total / took_s, latencies_quantile_us(all, 0.5),
           latencies_quantile_us(all, 0.99), latencies_quantile_us(all, 0.999), (long long)all->worst_us,
           (unsigned long long)latencies_over(all, SLOW_US), used_ns, resident_bytes());
}

static void run(struct connection *connections)
{
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];
    long long cpu_begin_ns = cpu_ns();
    int64_t begin = now_ns();
    int64_t end = begin + (int64_t)(setting.seconds * 1e9);

    for (unsigned i = 0; i < setting.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, connections[i].fd, &event) == -1)
            die("epoll");
        ask(&connections[i], setting.depth);
    }
    while (now_ns() < end) {
        int ready = epoll_wait(poll_fd, events, 256, 1000);
        for (int i = 0; i < ready; i++)
            ask(events[i].data.ptr, take(events[i].data.ptr));
    }
    print_result((double)(now_ns() - begin) / 1e9, cpu_ns() - cpu_begin_ns);
    close(poll_fd);
}

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    if (argc != 9) {
        fputs("usage: load ADDRESS PID CONNECTIONS DEPTH BATCH SERVICES IDLE SECONDS\n", stderr);
        return 2;
    }
    setting = (struct setting){.address = argv[1],
                               .pid = argv[2],
                               .connections = number(argv[3]),
                               .depth = number(argv[4]),
                               .batch = number(argv[5]),
                               .services = number(argv[6]),
                               .idle = number(argv[7]),
                               .seconds = strtod(argv[8], NULL)};
    struct connection *connections = calloc(setting.connections, sizeof(*connections));
    if (connections == NULL || setting.depth == 0 || setting.depth > DEPTH_MAX || setting.batch == 0 ||
        setting.services == 0)
        die("arguments");
    make_notifies();
    for (unsigned i = 0; i < setting.idle; i++)
        connect_to(setting.address);
    for (unsigned i = 0; i < setting.connections; i++)
        connections[i].fd = connect_to(setting.address);
    run(connections);
    free(notifies);
    free(connections);
    return 0;
}
