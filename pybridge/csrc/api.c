/* SPDX-License-Identifier: MIT
 *
 * Fills `G` from the guest's library, once, before the guest starts (no lock: start.c lets
 * one thread in).  Symbols are looked up in the library's handle, never in the global
 * scope, where the host's namesakes come first.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"

struct pb_api G;

static const struct { const char *name; size_t offset; int required; } table[] = {
#define API(name, result, arguments, gives, fails) {#name, offsetof(struct pb_api, name), 1},
#define OPTIONAL(name, result, arguments, gives, fails) {#name, offsetof(struct pb_api, name), 0},
#define DATA(name) {#name, offsetof(struct pb_api, name), 1},
#define POINTER(name) {#name, offsetof(struct pb_api, name), 1},
#define FLAG(name) {#name, offsetof(struct pb_api, name), 0},
#include "api.def"
};

int pb_api_load(void *library, char *error, size_t size)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        void *symbol = dlsym(library, table[i].name);
        if (symbol == NULL && table[i].required) {
            snprintf(error, size, "the guest's library has no symbol %s: it is not a CPython that "
                     "this version of pybridge knows", table[i].name);
            return -1;
        }
        memcpy((char *)&G + table[i].offset, &symbol, sizeof symbol);
    }
    const char *version = G.Py_GetVersion();
    if (strncmp(version, "3.", 2) != 0) {
        snprintf(error, size, "the guest's library says version %.20s, not 3.x", version);
        return -1;
    }
    if (strstr(version, "free-threading") != NULL) {
        snprintf(error, size, "the guest is a free-threaded build: use the ordinary build");
        return -1;
    }
    G.minor = atoi(version + 2);
    G.refcounts_by_call = G.minor > 13;     /* 3.14 split the word: count and flags */
    return 0;
}
