/* The step function of a link to a Redis-protocol peer: phases, deadlines, back-off, pipelining. */
#include "spoa/core/redis/conversation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RUNS 64
#define SEED 42
#define START_MS 1000
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 400

static const struct conversation_settings settings = {
    .connect_timeout_ms = 500,
    .silence_ms = 1500,
    .retry_min_ms = RETRY_MIN_MS,
    .retry_max_ms = RETRY_MAX_MS,
    .refused_retry_ms = 60000,
};
static const struct reply nil = {.kind = REPLY_NIL};

/* A topic that asks what the test says and writes down what it is told. */
struct topic {
    unsigned to_ask; /* commands left */
    struct awaited_request ask;
    unsigned connects;
    unsigned losses;
    const char *reason;
    enum conversation_end end;
    uint32_t retry_ms;
    unsigned replies;
    struct awaited_request replied; /* of the last reply */
    enum reply_kind kind;           /* of the reply that it must get */
    enum conversation_verdict verdict;
    int64_t wake_ms;
    unsigned ticks;
};

static struct topic topic;
static struct conversation talk;

static bool topic_next(void *context, int64_t now_ms, struct conversation_command *ret_command,
                       struct awaited_request *ret_request)
{
    struct topic *self = context;

    (void)now_ms;
    if (self->to_ask == 0)
        return false;
    self->to_ask--;
    ret_command->count = 1;
    ret_command->args[0] = span_of_text("PING");
    *ret_request = self->ask;
    self->ask.subject++;
    return true;
}

static enum conversation_verdict topic_reply(void *context, const struct awaited_request *request,
                                             const struct reply *reply, int64_t now_ms)
{
    struct topic *self = context;

    (void)now_ms;
    assert_int_equal(reply->kind, self->kind);
    self->replies++;
    self->replied = *request;
    return self->verdict;
}

static void topic_connected(void *context, int64_t now_ms)
{
    struct topic *self = context;

    (void)now_ms;
    self->connects++;
}

static void topic_lost(void *context, const struct conversation_loss *loss, int64_t now_ms)
{
    struct topic *self = context;

    (void)now_ms;
    self->losses++;
    self->reason = loss->reason;
    self->end = loss->end;
    self->retry_ms = loss->retry_ms;
}

static int64_t topic_wake_ms(const void *context)
{
    return ((const struct topic *)context)->wake_ms;
}

static void topic_tick(void *context, int64_t now_ms)
{
    (void)now_ms;
    ((struct topic *)context)->ticks++;
}

static const struct conversation_topic topic_calls = {
    .next = topic_next,
    .reply = topic_reply,
    .connected = topic_connected,
    .lost = topic_lost,
    .wake_ms = topic_wake_ms,
    .tick = topic_tick,
};

static struct awaited_run awaited[RUNS];

static int set_up(void **state)
{
    (void)state;
    topic = (struct topic){.wake_ms = INT64_MAX};
    conversation_init(&talk, &settings, &topic_calls, &topic, (struct awaited_room){awaited, RUNS}, SEED,
                      START_MS);
    return 0;
}

static void start_talking(int64_t now_ms)
{
    assert_int_equal(conversation_tick(&talk, now_ms), CONVERSATION_CONNECT);
    conversation_connected(&talk, now_ms);
    assert_int_equal(talk.phase, CONVERSATION_TALKING);
}

/* Asks for consecutive subjects; returns how many commands went out. */
static unsigned ask(unsigned kind, size_t subject, unsigned count, int64_t now_ms)
{
    struct conversation_command command;
    unsigned sent = 0;

    topic.ask = (struct awaited_request){.kind = kind, .subject = subject};
    topic.to_ask = count;
    while (conversation_next(&talk, now_ms, &command)) {
        assert_int_equal(command.count, 1);
        sent++;
    }
    return sent;
}

static enum conversation_action reply(enum conversation_verdict verdict, int64_t now_ms)
{
    topic.verdict = verdict;
    return conversation_reply(&talk, &nil, now_ms);
}

/* One more reply, which must belong to that request. */
static void check_reply(unsigned kind, size_t subject, int64_t t_sent_ms)
{
    assert_int_equal(reply(CONVERSATION_DONE, t_sent_ms + 1), CONVERSATION_NOTHING);
    assert_int_equal(topic.replied.kind, kind);
    assert_int_equal(topic.replied.subject, subject);
    assert_int_equal(topic.replied.t_sent_ms, t_sent_ms);
}

/* It waits again, after one of the growing pauses. */
static void check_lost(const char *reason, int64_t now_ms, uint32_t ceiling_ms)
{
    assert_int_equal(talk.phase, CONVERSATION_WAITING);
    assert_string_equal(topic.reason, reason);
    assert_true(topic.retry_ms >= ceiling_ms / 2 && topic.retry_ms <= ceiling_ms);
    assert_int_equal(conversation_wake_ms(&talk), now_ms + topic.retry_ms);
    assert_int_equal(conversation_tick(&talk, now_ms + topic.retry_ms - 1), CONVERSATION_NOTHING);
}

static void connects_at_once(void **state)
{
    (void)state;
    assert_int_equal(talk.phase, CONVERSATION_WAITING);
    assert_int_equal(conversation_wake_ms(&talk), START_MS);
    assert_int_equal(conversation_tick(&talk, START_MS - 1), CONVERSATION_NOTHING);
    assert_int_equal(conversation_tick(&talk, START_MS), CONVERSATION_CONNECT);
    assert_int_equal(talk.phase, CONVERSATION_CONNECTING);
    assert_int_equal(conversation_tick(&talk, START_MS), CONVERSATION_NOTHING); /* once */
    conversation_connected(&talk, START_MS + 3);
    assert_int_equal(talk.phase, CONVERSATION_TALKING);
    assert_int_equal(topic.connects, 1);
    assert_int_equal(topic.losses, 0);
}

static void says_nothing_before_it_is_connected(void **state)
{
    (void)state;
    assert_int_equal(ask(1, 0, 1, START_MS), 0);
    conversation_tick(&talk, START_MS);
    assert_int_equal(ask(1, 0, 1, START_MS), 0);
    assert_int_equal(reply(CONVERSATION_DONE, START_MS), CONVERSATION_NOTHING);
    assert_int_equal(topic.replies, 0);
    assert_int_equal(talk.phase, CONVERSATION_CONNECTING);
    conversation_connected(&talk, START_MS);
    assert_int_equal(ask(1, 0, 1, START_MS), 1);
}

/* The look-up of a name has a limit of its own. That of connecting begins after it. */
static void look_up_timeout(void **state)
{
    (void)state;
    conversation_tick(&talk, START_MS);
    conversation_looks_up(&talk, START_MS);
    assert_int_equal(conversation_wake_ms(&talk), START_MS + 10000);
    assert_int_equal(conversation_tick(&talk, START_MS + 9999), CONVERSATION_NOTHING);
    assert_int_equal(conversation_tick(&talk, START_MS + 10000), CONVERSATION_DISCONNECT);
    check_lost("look-up timeout", START_MS + 10000, RETRY_MIN_MS);
}

static void connect_timeout_after_a_look_up(void **state)
{
    (void)state;
    conversation_tick(&talk, START_MS);
    conversation_looks_up(&talk, START_MS);
    conversation_found(&talk, START_MS + 800);
    assert_int_equal(conversation_wake_ms(&talk), START_MS + 1300);
    assert_int_equal(conversation_tick(&talk, START_MS + 1300), CONVERSATION_DISCONNECT);
    check_lost("connect timeout", START_MS + 1300, RETRY_MIN_MS);
}

static void connect_timeout(void **state)
{
    (void)state;
    conversation_tick(&talk, START_MS);
    assert_int_equal(conversation_wake_ms(&talk), START_MS + 500);
    assert_int_equal(conversation_tick(&talk, START_MS + 499), CONVERSATION_NOTHING);
    assert_int_equal(conversation_tick(&talk, START_MS + 500), CONVERSATION_DISCONNECT);
    check_lost("connect timeout", START_MS + 500, RETRY_MIN_MS);
    assert_int_equal(topic.end, CONVERSATION_END_SILENT);
    assert_int_equal(topic.connects, 0);
}

static void refused_connection(void **state)
{
    (void)state;
    conversation_tick(&talk, START_MS);
    conversation_lost(&talk, "connection refused", CONVERSATION_END_REFUSED, START_MS + 2);
    check_lost("connection refused", START_MS + 2, RETRY_MIN_MS);
    assert_int_equal(topic.end, CONVERSATION_END_REFUSED);
    conversation_lost(&talk, "again", CONVERSATION_END_CLOSED,
                      START_MS + 3); /* a late report changes nothing */
    assert_int_equal(topic.losses, 1);
    check_lost("connection refused", START_MS + 2, RETRY_MIN_MS);
}

/* 100, 200, 400 and not more; proved, it is 100 again. A connection alone proves nothing. */
static void back_off(void **state)
{
    static const uint32_t ceilings[] = {100, 200, 400, 400, 400};
    int64_t now_ms = START_MS;

    (void)state;
    for (size_t i = 0; i < sizeof(ceilings) / sizeof(*ceilings); i++) {
        start_talking(now_ms);
        conversation_lost(&talk, "closed", CONVERSATION_END_CLOSED, now_ms);
        check_lost("closed", now_ms, ceilings[i]);
        now_ms = conversation_wake_ms(&talk);
    }
    start_talking(now_ms);
    conversation_proved(&talk);
    conversation_lost(&talk, "closed", CONVERSATION_END_CLOSED, now_ms);
    check_lost("closed", now_ms, RETRY_MIN_MS);
}

/* An attempt can be made earlier than planned, and not later; nothing else is. */
static void hurry(void **state)
{
    (void)state;
    conversation_hurry(&talk, START_MS + 50);
    assert_int_equal(conversation_wake_ms(&talk), START_MS);
    start_talking(START_MS);
    conversation_lost(&talk, "closed", CONVERSATION_END_CLOSED, START_MS);
    conversation_hurry(&talk, START_MS + 7);
    assert_int_equal(conversation_wake_ms(&talk), START_MS + 7);
    assert_int_equal(conversation_tick(&talk, START_MS + 6), CONVERSATION_NOTHING);
    assert_int_equal(conversation_tick(&talk, START_MS + 7), CONVERSATION_CONNECT);
    conversation_hurry(&talk, START_MS + 8);
    assert_int_equal(conversation_wake_ms(&talk), START_MS + 7 + settings.connect_timeout_ms);
}

/* Peers that are lost together must not come back together. */
static void seeds_differ(void **state)
{
    unsigned same = 0;
    struct conversation other;

    (void)state;
    conversation_init(&other, &settings, &topic_calls, &topic, (struct awaited_room){awaited, RUNS}, SEED + 1,
                      START_MS);
    for (unsigned i = 0; i < 20; i++) {
        conversation_tick(&talk, INT64_MAX / 2);
        conversation_tick(&other, INT64_MAX / 2);
        conversation_lost(&talk, "", CONVERSATION_END_CLOSED, START_MS);
        uint32_t first_ms = topic.retry_ms;
        conversation_lost(&other, "", CONVERSATION_END_CLOSED, START_MS);
        same += first_ms == topic.retry_ms;
    }
    assert_true(same <= 5);
}

static void silence(void **state)
{
    (void)state;
    start_talking(START_MS);
    assert_int_equal(conversation_wake_ms(&talk), INT64_MAX);
    assert_int_equal(conversation_tick(&talk, START_MS + 100000), CONVERSATION_NOTHING); /* nothing asked */
    assert_int_equal(ask(1, 0, 1, 200000), 1);
    assert_int_equal(ask(1, 0, 1, 200500), 1);
    assert_int_equal(conversation_wake_ms(&talk), 201500);
    assert_int_equal(conversation_tick(&talk, 201499), CONVERSATION_NOTHING);
    check_reply(1, 0, 200000); /* then the next one is the oldest */
    assert_int_equal(conversation_wake_ms(&talk), 202000);
    assert_int_equal(conversation_tick(&talk, 201999), CONVERSATION_NOTHING);
    assert_int_equal(conversation_tick(&talk, 202000), CONVERSATION_DISCONNECT);
    check_lost("reply timeout", 202000, RETRY_MIN_MS);
}

/* What was asked on the old connection is not answered on the new one. */
static void reconnect_forgets_requests(void **state)
{
    (void)state;
    start_talking(START_MS);
    ask(1, 0, 3, START_MS);
    conversation_lost(&talk, "closed", CONVERSATION_END_CLOSED, START_MS);
    start_talking(START_MS + 5000);
    assert_int_equal(conversation_wake_ms(&talk), INT64_MAX);
    ask(2, 7, 1, START_MS + 5000);
    check_reply(2, 7, START_MS + 5000);
    assert_int_equal(reply(CONVERSATION_DONE, START_MS + 5001), CONVERSATION_DISCONNECT);
}

/* Each reply is told of its own request: kind, subject and the time at which it was sent. */
static void replies_find_their_requests(void **state)
{
    (void)state;
    start_talking(START_MS);
    assert_int_equal(ask(1, 0, 1, 2000), 1);
    assert_int_equal(ask(2, 10, 1000, 2000), 1000);
    assert_int_equal(ask(2, 1010, 2, 2001), 2);
    check_reply(1, 0, 2000);
    for (size_t i = 0; i < 1000; i++)
        check_reply(2, 10 + i, 2000);
    check_reply(2, 1010, 2001);
    check_reply(2, 1011, 2001);
    assert_int_equal(conversation_wake_ms(&talk), INT64_MAX);
}

static void ring_is_full(void **state)
{
    (void)state;
    start_talking(START_MS);
    topic.wake_ms = 0; /* it wants to ask all the time */
    for (unsigned turn = 0; turn < 3; turn++) {
        /* Every second subject, so that each is a run of its own. */
        for (size_t i = 0; i < RUNS; i++)
            assert_int_equal(ask(1, 2 * i, 1, START_MS), 1);
        assert_int_equal(ask(1, 500, 1, START_MS), 0);
        assert_int_equal(topic.to_ask, 1); /* not even asked for */
        /* Else the caller would spin: there is nothing to do before a reply or the deadline. */
        assert_int_equal(conversation_wake_ms(&talk), START_MS + 1500);
        check_reply(1, 0, START_MS);
        assert_int_equal(conversation_wake_ms(&talk), 0);
        assert_int_equal(ask(1, 500, 1, START_MS), 1);
        assert_int_equal(ask(1, 502, 1, START_MS), 0);
        for (size_t i = 1; i < RUNS; i++)
            check_reply(1, 2 * i, START_MS);
        check_reply(1, 500, START_MS);
        ask(1, 0, 1, START_MS); /* so that the next turn begins at another place */
        check_reply(1, 0, START_MS);
    }
}

/* A subscription has no deadline once it is confirmed, and takes replies for ever. */
static void endless_subscription(void **state)
{
    (void)state;
    start_talking(START_MS);
    ask(1, 0, 1, START_MS);
    assert_int_equal(conversation_wake_ms(&talk), START_MS + 1500); /* the confirmation has one */
    for (int64_t i = 0; i < 100; i++) {
        assert_int_equal(reply(CONVERSATION_GOES_ON, START_MS + i * 10000), CONVERSATION_NOTHING);
        assert_int_equal(topic.replied.kind, 1);
        assert_int_equal(topic.replied.subject, 0);
        assert_int_equal(conversation_wake_ms(&talk), INT64_MAX);
        assert_int_equal(conversation_tick(&talk, START_MS + i * 10000 + 9999), CONVERSATION_NOTHING);
    }
    /* What is asked behind it has a deadline of its own. */
    ask(1, 1, 1, START_MS);
    assert_int_equal(conversation_wake_ms(&talk), START_MS + 1500);
}

static void unconfirmed_subscription(void **state)
{
    (void)state;
    start_talking(START_MS);
    ask(1, 0, 1, START_MS);
    assert_int_equal(conversation_tick(&talk, START_MS + 1500), CONVERSATION_DISCONNECT);
    check_lost("reply timeout", START_MS + 1500, RETRY_MIN_MS);
}

/* A refusal waits long and does not lengthen the back-off. */
static void refused(void **state)
{
    (void)state;
    start_talking(START_MS);
    ask(1, 0, 1, START_MS);
    assert_int_equal(reply(CONVERSATION_REFUSED, 2000), CONVERSATION_DISCONNECT);
    check_lost("refused", 2000, 60000);
    assert_int_equal(topic.retry_ms, 60000);
    start_talking(62000);
    conversation_lost(&talk, "closed", CONVERSATION_END_CLOSED, 62000);
    check_lost("closed", 62000, RETRY_MIN_MS);
}

static void broken(void **state)
{
    (void)state;
    start_talking(START_MS);
    ask(1, 0, 1, START_MS);
    assert_int_equal(reply(CONVERSATION_BROKEN, 2000), CONVERSATION_DISCONNECT);
    check_lost("unexpected reply", 2000, RETRY_MIN_MS);
    assert_int_equal(reply(CONVERSATION_DONE, 2000), CONVERSATION_NOTHING); /* the rest of the same read */
    assert_int_equal(topic.replies, 1);
    assert_int_equal(topic.losses, 1);
}

static void unsolicited_reply(void **state)
{
    (void)state;
    start_talking(START_MS);
    assert_int_equal(reply(CONVERSATION_DONE, 2000), CONVERSATION_DISCONNECT);
    check_lost("unexpected reply", 2000, RETRY_MIN_MS);
    assert_int_equal(topic.replies, 0);
}

static enum conversation_action give_error(const char *words)
{
    const struct reply error = {.kind = REPLY_ERROR, .text = span_of_text(words)};

    topic.kind = REPLY_ERROR;
    topic.verdict = CONVERSATION_DONE;
    return conversation_reply(&talk, &error, 2000);
}

/* The peer has no room for us: the topic must not take its words for the reply to AUTH. */
static void sent_away(void **state)
{
    static const char *const words[] = {"ERR max number of clients reached",
                                        "DENIED Redis is running in protected mode"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start_talking(conversation_wake_ms(&talk));
        ask(1, 0, 2, 1500);
        assert_int_equal(give_error(words[i]), CONVERSATION_DISCONNECT);
        check_lost(words[i], 2000, i == 0 ? RETRY_MIN_MS : 2 * RETRY_MIN_MS);
        assert_int_equal(topic.end, CONVERSATION_END_SENT_AWAY);
        assert_int_equal(topic.replies, 0);
    }
}

/* Whatever its words are, if nothing was asked. */
static void sent_away_before_it_was_asked(void **state)
{
    (void)state;
    start_talking(START_MS);
    assert_int_equal(give_error("GOAWAY"), CONVERSATION_DISCONNECT);
    check_lost("GOAWAY", 2000, RETRY_MIN_MS);
    assert_int_equal(topic.end, CONVERSATION_END_SENT_AWAY);
}

/* It says one thing only, and closes. */
static void last_words(void **state)
{
    char longer[CONVERSATION_WORDS_MAX + 50];

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    start_talking(START_MS);
    ask(1, 0, 2, 1500);
    assert_int_equal(give_error(longer), CONVERSATION_NOTHING);
    assert_int_equal(topic.replies, 1);
    conversation_lost(&talk, "closed", CONVERSATION_END_CLOSED, 2000);
    assert_int_equal(topic.end, CONVERSATION_END_SENT_AWAY);
    assert_int_equal(strlen(topic.reason), CONVERSATION_WORDS_MAX - 1);
}

/* An error is no reason to close if there were other replies, or if no end of the connection was seen. */
static void words_that_are_not_the_last(void **state)
{
    (void)state;
    start_talking(START_MS);
    ask(1, 0, 3, 1500);
    assert_int_equal(give_error("NOAUTH"), CONVERSATION_NOTHING);
    assert_int_equal(give_error("ERR max number of clients reached"), CONVERSATION_NOTHING);
    conversation_lost(&talk, "closed", CONVERSATION_END_CLOSED, 2000);
    check_lost("closed", 2000, RETRY_MIN_MS);
    start_talking(conversation_wake_ms(&talk));
    ask(1, 0, 3, 1500);
    assert_int_equal(give_error("NOAUTH"), CONVERSATION_NOTHING);
    conversation_lost(&talk, "silent", CONVERSATION_END_SILENT, 2000);
    check_lost("silent", 2000, 2 * RETRY_MIN_MS);
    start_talking(conversation_wake_ms(&talk));
    conversation_lost(&talk, "closed", CONVERSATION_END_CLOSED, 2000);
    check_lost("closed", 2000, 4 * RETRY_MIN_MS);
}

/* The earlier of what the topic wants and of the deadline. */
static void wake_times(void **state)
{
    (void)state;
    topic.wake_ms = 7000;
    assert_int_equal(conversation_wake_ms(&talk), START_MS); /* the topic has no say yet */
    start_talking(START_MS);
    assert_int_equal(conversation_wake_ms(&talk), 7000);
    ask(1, 0, 1, 5000);
    assert_int_equal(conversation_wake_ms(&talk), 6500);
    topic.wake_ms = 6499;
    assert_int_equal(conversation_wake_ms(&talk), 6499);
    check_reply(1, 0, 5000);
    topic.wake_ms = 7000;
    assert_int_equal(conversation_wake_ms(&talk), 7000);
}

/* The topic is told of time while the link is there, and not when it is given up. */
static void ticks(void **state)
{
    (void)state;
    assert_int_equal(conversation_tick(&talk, START_MS), CONVERSATION_CONNECT);
    assert_int_equal(conversation_tick(&talk, START_MS + 1), CONVERSATION_NOTHING);
    assert_int_equal(topic.ticks, 0);
    conversation_connected(&talk, START_MS + 2);
    ask(1, 0, 1, 5000);
    assert_int_equal(conversation_tick(&talk, 6499), CONVERSATION_NOTHING);
    assert_int_equal(topic.ticks, 1);
    assert_int_equal(conversation_tick(&talk, 6500), CONVERSATION_DISCONNECT);
    assert_int_equal(conversation_tick(&talk, 6501), CONVERSATION_NOTHING);
    assert_int_equal(topic.ticks, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connects_at_once),
        TEST(says_nothing_before_it_is_connected),
        TEST(connect_timeout),
        TEST(look_up_timeout),
        TEST(connect_timeout_after_a_look_up),
        TEST(refused_connection),
        TEST(back_off),
        TEST(hurry),
        TEST(seeds_differ),
        TEST(silence),
        TEST(reconnect_forgets_requests),
        TEST(replies_find_their_requests),
        TEST(ring_is_full),
        TEST(endless_subscription),
        TEST(unconfirmed_subscription),
        TEST(refused),
        TEST(broken),
        TEST(unsolicited_reply),
        TEST(sent_away),
        TEST(sent_away_before_it_was_asked),
        TEST(last_words),
        TEST(words_that_are_not_the_last),
        TEST(wake_times),
        TEST(ticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
