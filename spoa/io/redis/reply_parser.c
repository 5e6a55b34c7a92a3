#include "spoa/io/redis/reply_parser.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdlib.h>
#include <utlist.h>

#define BLOCK_SIZE ((size_t)64 * 1024)
#define ALIGNMENT sizeof(max_align_t)
/* Room for so many elements at first, if there is a filter. */
#define KEPT_MIN ((size_t)8)

/* hiredis 1.0 changed the type of createArray's count and added two functions. */
#if HIREDIS_MAJOR < 1
typedef int array_count;
#else
typedef size_t array_count;
#endif

struct block {
    struct block *next;
    max_align_t bytes[];
};

/* A state of the memory, to which it can return. */
struct mark {
    const struct block *block; /* the newest; NULL: the first one */
    uint8_t *free_at;
    size_t free_len;
    size_t memory_used;
};

/* The elements of the reply that are kept so far, if there is a filter. */
struct kept {
    struct reply *elements;
    size_t count;
    size_t capacity;
    bool is_open;     /* elements[count] is being read */
    struct mark mark; /* the memory without it */
};

struct reply_parser {
    redisReader *reader;
    const char *refusal;        /* why we refuse the input, not the reader */
    size_t fed;                 /* bytes since the last complete reply */
    bool is_idle;               /* and none of them is left */
    struct reply_filter filter; /* keeps is NULL: none */
    struct kept kept;
    struct reply root;
    struct reply *slots[REPLY_PARSER_DEPTH_MAX]; /* the elements of the array that is open at each depth */
    size_t memory_used;                          /* of the current reply */
    struct block *blocks;                        /* all but the first */
    uint8_t *free_at;                            /* in the newest block */
    size_t free_len;
    size_t first_size;
    max_align_t first[]; /* the first block */
};

static void memory_reset(struct reply_parser *parser)
{
    struct block *block;
    struct block *next;

    LL_FOREACH_SAFE (parser->blocks, block, next) {
        free(block);
    }
    parser->blocks = NULL;
    parser->kept = (struct kept){.elements = NULL};
    parser->memory_used = 0;
    parser->free_at = (uint8_t *)parser->first;
    parser->free_len = parser->first_size;
}

static bool memory_grow(struct reply_parser *parser, size_t size)
{
    size_t payload = size > BLOCK_SIZE ? size : BLOCK_SIZE;
    struct block *block = malloc(sizeof(*block) + payload);

    if (block == NULL)
        return false;
    LL_PREPEND(parser->blocks, block);
    parser->free_at = (uint8_t *)block->bytes;
    parser->free_len = payload;
    return true;
}

/*
 * Takes memory of the current reply, which is freed with it. NULL if the limit is reached or memory is short.
 */
static void *memory_take(struct reply_parser *parser, size_t size)
{
    /* Checked before the rounding, which could overflow. */
    bool is_too_large = size > REPLY_PARSER_BYTES_MAX;

    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (is_too_large || size > REPLY_PARSER_BYTES_MAX - parser->memory_used) {
        parser->refusal = "reply too large";
        parser->is_idle = false;
        return NULL;
    }
    parser->memory_used += size;
    if (size > parser->free_len && !memory_grow(parser, size))
        return NULL;
    void *taken = parser->free_at;
    parser->free_at += size;
    parser->free_len -= size;
    return taken;
}

static struct mark memory_mark(const struct reply_parser *parser)
{
    return (struct mark){
        .block = parser->blocks,
        .free_at = parser->free_at,
        .free_len = parser->free_len,
        .memory_used = parser->memory_used,
    };
}

/* Frees what was taken after the mark. */
static void memory_return(struct reply_parser *parser, const struct mark *mark)
{
    while (parser->blocks != mark->block) {
        struct block *block = parser->blocks;
        parser->blocks = block->next;
        free(block);
    }
    parser->free_at = mark->free_at;
    parser->free_len = mark->free_len;
    parser->memory_used = mark->memory_used;
}

/* ---- the filter ---- */

static bool kept_grow(struct reply_parser *parser)
{
    struct kept *kept = &parser->kept;
    size_t capacity = kept->capacity > 0 ? 2 * kept->capacity : KEPT_MIN;
    struct reply *elements = memory_take(parser, capacity * sizeof(*elements));

    if (elements == NULL)
        return false;
    if (kept->count > 0)
        memcpy(elements, kept->elements, kept->count * sizeof(*elements));
    kept->elements = elements;
    kept->capacity = capacity;
    return true;
}

/* The element that was read last is complete. */
static void close_element(struct reply_parser *parser)
{
    struct kept *kept = &parser->kept;

    if (!kept->is_open)
        return;
    kept->is_open = false;
    parser->fed = 0;
    if (parser->filter.keeps(parser->filter.context, &kept->elements[kept->count]))
        kept->count++;
    else
        memory_return(parser, &kept->mark);
}

/* Where the next element goes; NULL if memory is short or the limit is reached. */
static struct reply *open_element(struct reply_parser *parser)
{
    struct kept *kept = &parser->kept;

    close_element(parser);
    if (kept->count == kept->capacity && !kept_grow(parser))
        return NULL;
    kept->mark = memory_mark(parser);
    kept->is_open = true;
    return &kept->elements[kept->count];
}

/* ---- what the reader calls ---- */

static size_t depth_of(const redisReadTask *task)
{
    size_t depth = 0;

    for (; task->parent != NULL; task = task->parent)
        depth++;
    return depth;
}

/*
 * Where the value of `task` goes: to the root, or to an element of the array above it. To be called once for each
 * value, before it takes memory. NULL if there is none.
 */
static struct reply *slot_of(const redisReadTask *task)
{
    struct reply_parser *parser = task->privdata;
    size_t depth = depth_of(task);

    if (depth == 0)
        return &parser->root;
    if (depth == 1 && parser->filter.keeps != NULL)
        return open_element(parser);
    return &parser->slots[depth - 1][task->idx];
}

static void *place(const redisReadTask *task, struct reply value)
{
    struct reply *slot = slot_of(task);

    if (slot != NULL)
        *slot = value;
    return slot;
}

static void *refuse(const redisReadTask *task, const char *refusal)
{
    struct reply_parser *parser = task->privdata;

    parser->refusal = refusal;
    return NULL;
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
    struct reply_parser *parser = task->privdata;
    enum reply_kind kind = task->type == REDIS_REPLY_ERROR ? REPLY_ERROR : REPLY_TEXT;

    if (task->type != REDIS_REPLY_STRING && task->type != REDIS_REPLY_STATUS &&
        task->type != REDIS_REPLY_ERROR)
        return refuse(task, "unexpected RESP3 type");
    struct reply *slot = slot_of(task);
    uint8_t *copy = slot != NULL ? memory_take(parser, len) : NULL;
    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, text, len);
    *slot = (struct reply){.kind = kind, .text = span_of(copy, len)};
    return slot;
}

static void *create_array(const redisReadTask *task, array_count elements)
{
    struct reply_parser *parser = task->privdata;
    size_t count = (size_t)elements;
    size_t depth = depth_of(task);

    if (task->type != REDIS_REPLY_ARRAY)
        return refuse(task, "unexpected RESP3 type");
    if (depth >= REPLY_PARSER_DEPTH_MAX)
        return refuse(task, "reply nested too deeply");
    if (count > REPLY_PARSER_BYTES_MAX / sizeof(struct reply))
        return refuse(task, "reply too large");
    struct reply *slot = slot_of(task);
    if (slot == NULL)
        return NULL;
    *slot = (struct reply){.kind = REPLY_ARRAY};
    if (depth == 0 && parser->filter.keeps != NULL)
        return slot; /* see finish_array() */
    parser->slots[depth] = memory_take(parser, count * sizeof(struct reply));
    if (parser->slots[depth] == NULL)
        return NULL;
    slot->elements = parser->slots[depth];
    slot->count = count;
    return slot;
}

static void *create_integer(const redisReadTask *task, long long number)
{
    return place(task, (struct reply){.kind = REPLY_INTEGER, .number = number});
}

static void *create_nil(const redisReadTask *task)
{
    return place(task, (struct reply){.kind = REPLY_NIL});
}

#if HIREDIS_MAJOR >= 1
/* Without these two functions hiredis would return the number of the type in place of a reply. */
static void *create_double(const redisReadTask *task, double number, char *text, size_t len)
{
    (void)number;
    (void)text;
    (void)len;
    return refuse(task, "unexpected RESP3 type");
}

static void *create_bool(const redisReadTask *task, int value)
{
    (void)value;
    return refuse(task, "unexpected RESP3 type");
}
#endif

/* The next reply or the parser's end frees the memory. */
static void free_object(void *object)
{
    (void)object;
}

/* Not const because hiredis' prototype has no const. Nothing writes to it. */
static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
#if HIREDIS_MAJOR >= 1
    .createDouble = create_double,
    .createBool = create_bool,
#endif
    .freeObject = free_object,
};

struct reply_parser *reply_parser_create(size_t everyday)
{
    struct reply_parser *parser = calloc(1, sizeof(*parser) + everyday);

    if (parser == NULL)
        return NULL;
    parser->first_size = everyday;
    memory_reset(parser);
    parser->reader = redisReaderCreateWithFunctions(&functions);
    if (parser->reader == NULL) {
        free(parser);
        return NULL;
    }
    parser->reader->privdata = parser;
    parser->is_idle = true;
    return parser;
}

void reply_parser_destroy(struct reply_parser *parser)
{
    if (parser == NULL)
        return;
    redisReaderFree(parser->reader);
    memory_reset(parser);
    free(parser);
}

void reply_parser_set_filter(struct reply_parser *parser, struct reply_filter filter)
{
    parser->filter = filter;
}

/* With a filter: the reply is complete, and has the elements that were kept. */
static void finish_array(struct reply_parser *parser)
{
    close_element(parser);
    parser->root.elements = parser->kept.elements;
    parser->root.count = parser->kept.count;
}

void reply_parser_feed(struct reply_parser *parser, struct span bytes)
{
    if (bytes.len > REPLY_PARSER_BYTES_MAX - parser->fed) {
        parser->refusal = "reply too large";
        return;
    }
    parser->fed += bytes.len;
    parser->is_idle = false;
    /* The next redisReaderGetReply() reports a failure. */
    (void)redisReaderFeed(parser->reader, (const char *)bytes.data, bytes.len);
}

enum reply_parser_result reply_parser_next(struct reply_parser *parser, const struct reply **ret_reply)
{
    void *reply = NULL;

    if (parser->refusal != NULL)
        return REPLY_PARSER_FAILED;
    /* Between two replies the memory of the last is free again. */
    if (parser->reader->ridx == -1)
        memory_reset(parser);
    if (redisReaderGetReply(parser->reader, &reply) != REDIS_OK)
        return REPLY_PARSER_FAILED;
    if (reply == NULL)
        return REPLY_PARSER_NEEDS_MORE;
    if (parser->filter.keeps != NULL && parser->root.kind == REPLY_ARRAY)
        finish_array(parser);
    parser->fed = 0;
    /* Not later: to look for the next reply may take a part of it. */
    parser->is_idle = parser->reader->pos == parser->reader->len;
    *ret_reply = reply;
    return REPLY_PARSER_REPLY;
}

bool reply_parser_is_idle(const struct reply_parser *parser)
{
    return parser->is_idle;
}

const char *reply_parser_error(const struct reply_parser *parser)
{
    return parser->refusal != NULL ? parser->refusal : parser->reader->errstr;
}
