/* For functions whose result must not be ignored. */
#ifndef PROTO_MUST_CHECK_H
#define PROTO_MUST_CHECK_H

/* The compiler complains if a caller drops the result. A cast to void does not silence it. */
#define MUST_CHECK __attribute__((warn_unused_result))

#endif
