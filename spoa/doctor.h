/* sentinel-spoa check: looks at everything that the configuration names, and says what does not fit. */
#ifndef SPOA_DOCTOR_H
#define SPOA_DOCTOR_H

#include "spoa/core/config.h"

/* Asks every Sentinel, node and HAProxy, one after the other, and prints what they say; lines that begin with '!' are
 * findings. An exit code: 0 where there is none, else 1. Changes nothing anywhere. */
int doctor_check(const struct config *config);

#endif
