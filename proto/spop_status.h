/* Status codes of HAPROXY-DISCONNECT and AGENT-DISCONNECT (SPOE.txt section 3.2.9 and 3.3). */
#ifndef PROTO_SPOP_STATUS_H
#define PROTO_SPOP_STATUS_H

#define SPOP_STATUS_MAP(X)                                                                                   \
    X(NORMAL, 0, "normal")                                                                                   \
    X(IO, 1, "I/O error")                                                                                    \
    X(TIMEOUT, 2, "a timeout occurred")                                                                      \
    X(TOO_BIG, 3, "frame is too big")                                                                        \
    X(INVALID, 4, "invalid frame received")                                                                  \
    X(NO_VERSION, 5, "version value not found")                                                              \
    X(NO_MAX_FRAME_SIZE, 6, "max-frame-size value not found")                                                \
    X(NO_CAPABILITIES, 7, "capabilities value not found")                                                    \
    X(BAD_VERSION, 8, "unsupported version")                                                                 \
    X(BAD_MAX_FRAME_SIZE, 9, "max-frame-size too big or too small")                                          \
    X(NO_FRAGMENTATION, 10, "fragmentation not supported")                                                   \
    X(INTERLACED, 11, "invalid interlaced frames")                                                           \
    X(FRAME_ID_NOT_FOUND, 12, "frame-id not found")                                                          \
    X(RESOURCE, 13, "resource allocation error")                                                             \
    X(UNKNOWN, 99, "an unknown error occurred")

enum spop_status {
#define X(name, code, text) SPOP_STATUS_##name = (code),
    SPOP_STATUS_MAP(X)
#undef X
};

/* The specification's words for a status code. A code that it does not have gets the words of UNKNOWN. */
const char *spop_status_text(enum spop_status status);

#endif
