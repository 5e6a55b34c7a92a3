#include "spoa/io/net/buffer.h"

#include <assert.h>
#include <stdlib.h>

void buffer_finish(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.data = NULL};
}

struct span buffer_span(const struct buffer *buffer)
{
    if (buffer->len == 0)
        return span_of(NULL, 0);
    return span_of(buffer->data + buffer->start, buffer->len);
}

bool buffer_store(struct buffer *buffer, struct span bytes)
{
    uint8_t *copy = NULL;

    if (bytes.len > 0) {
        copy = malloc(bytes.len);
        if (copy != NULL)
            memcpy(copy, bytes.data, bytes.len);
    }
    free(buffer->data);
    *buffer = (struct buffer){.data = copy, .len = copy != NULL ? bytes.len : 0};
    buffer->size = buffer->len;
    return copy != NULL || bytes.len == 0;
}

void buffer_consume(struct buffer *buffer, size_t len)
{
    assert(len <= buffer->len);
    buffer->start += len;
    buffer->len -= len;
    if (buffer->len == 0)
        buffer_finish(buffer);
}
