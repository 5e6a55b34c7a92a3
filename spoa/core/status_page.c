/* The build makes the bytes out of status_page.html. */
#include "spoa/core/web.h"

const char web_status_page[] = {
#include "build/status_page.inc"
    '\0'};
