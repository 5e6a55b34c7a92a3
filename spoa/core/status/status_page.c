/* The build makes the bytes from status_page.html. */
#include "spoa/core/status/http_routes.h"

const char status_page[] = {
#include "build/status_page.inc"
    '\0'};
