/* For functions whose result must not be ignored. */
#ifndef PROTO_MUST_CHECK_H
#define PROTO_MUST_CHECK_H

/* The compiler complains where a caller drops the result, with a cast to void as well. */
#define MUST_CHECK __attribute__((warn_unused_result))

#endif
