/* SPDX-License-Identifier: MIT
 *
 * Starting and closing the guest, and fork.
 *
 * The guest starts once in a process.  Its environment variables are ignored (the host's
 * PYTHON* are not meant for it) and UTF-8 mode is on; the program name is the guest's own
 * python, from which it finds its venv, and which its children run.  These are set through
 * the exported flags, which every CPython from 3.8 on has; the configuration struct's
 * layout differs by version, so it is only passed along (CONFIG_BYTES is more than any
 * version's).  Unlike Py_InitializeEx, that way reports a failure instead of ending the
 * process.
 *
 * Called by the host's main thread, one call at a time (pybridge/_runtime.py sees to it).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "isolate.h"

enum { CONFIG_BYTES = 4096 };

pb_shared *pb_shared_state(void)
{
    return &pb_state;
}

void pb_symbols_read(pb_symbols *out)
{
    const pb_isolate_report *r = pb_isolate_state();
    *out = (pb_symbols){r->enabled, r->hidden, r->prebound, r->patched, r->selftest};
}

/* UTF-8 to wide characters; a byte that is not UTF-8 becomes U+DC80 + byte, as Python does.
 * new (malloc), never freed: the guest keeps the pointer */
static wchar_t *widen(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    wchar_t *wide = calloc(strlen(text) + 1, sizeof *wide), *w = wide;
    if (wide == NULL)
        return NULL;
    while (*p != 0) {
        int more = *p >= 0xf0 && *p < 0xf5 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc2 ? 1 : 0;
        int good = *p < 0x80 || (more > 0 && *p < 0xf5);
        uint32_t c = more == 0 ? *p : *p & (0x3fu >> more);
        for (int i = 1; good && i <= more; i++) {
            good = (p[i] & 0xc0) == 0x80;
            c = c << 6 | (p[i] & 0x3fu);
        }
        if (good && more > 0 && (c >= 0x110000 || (c >= 0xd800 && c < 0xe000) || (more == 2 && c < 0x800) || (more == 3 && c < 0x10000)))
            good = 0;
        *w++ = (wchar_t)(good ? c : 0xdc00u + *p);
        p += good ? more + 1 : 1;
    }
    return wide;
}

static int initialize(char *error, size_t size)
{
    if (G._PyConfig_InitCompatConfig == NULL || G.Py_InitializeFromConfig == NULL || G.PyStatus_Exception == NULL) {
        G.Py_InitializeEx(0);
        return 0;
    }
    void *config = calloc(1, CONFIG_BYTES);
    if (config == NULL) {
        snprintf(error, size, "no memory for the guest's configuration");
        return -1;
    }
    G._PyConfig_InitCompatConfig(config);
    pb_status status = G.Py_InitializeFromConfig(config);
    int failed = G.PyStatus_Exception(status);
    if (failed)
        snprintf(error, size, "the guest refused to start: %s%s%s", status.function ? status.function : "",
                 status.function ? ": " : "", status.message ? status.message : "no reason given");
    if (G.PyConfig_Clear != NULL && !failed)
        G.PyConfig_Clear(config);
    free(config);
    return failed ? -1 : 0;
}

static void flag_set(int *flag)
{
    if (flag != NULL)
        *flag = 1;
}

static int arguments_set(int argc, char **argv)
{
    wchar_t **wide = calloc((size_t)argc + 1, sizeof *wide);
    if (wide == NULL)
        return -1;
    for (int i = 0; i < argc; i++)
        if ((wide[i] = widen(argv[i])) == NULL)
            return -1;
    G.PySys_SetArgvEx(argc, wide, 0);       /* 0: the working directory stays off sys.path */
    for (int i = 0; i < argc; i++)
        free(wide[i]);
    free(wide);
    return 0;
}

/* In the child, whoever forked: the host, guest code, a C library. */
static void forked(void)
{
    pb_thread *t = &pb_me;
    pb_attach_fork_after();
    if (pb_state.state != 1)
        return;
    pb_main_thread = t;                     /* the only thread is the main one now */
    pb_lease_forked(t);
    pb_signals_forked();
}

int pb_start(const char *library, const char *program, int isolate,
             int argc, char **argv, char *error, int64_t error_size)
{
    size_t size = (size_t)error_size;
    int64_t refused = 0;

    void *handle = pb_isolate_load(library, isolate, error, size);
    if (handle == NULL)
        return -2;
    if (pb_api_load(handle, error, size) != 0)
        return -1;
    if (G.Py_IsInitialized()) {
        snprintf(error, size, "%s is in use by this process already, outside pybridge", library);
        return -1;
    }
    flag_set(G.Py_IgnoreEnvironmentFlag);
    flag_set(G.Py_UTF8Mode);
    flag_set(G.Py_NoUserSiteDirectory);
    wchar_t *name = widen(program);
    if (name == NULL) {
        snprintf(error, size, "no memory");
        return -1;
    }
    G.Py_SetProgramName(name);
    pb_signals_save();
    pb_attach_prepare();
    if (initialize(error, size) != 0) {
        pb_signals_restore();
        return -1;
    }
    if (arguments_set(argc, argv) != 0 || pb_signals_start() != 0 || pb_hostobj_start() != 0
        || pb_exporter_start() != 0 || pb_pile_start() != 0) {
        snprintf(error, size, "the guest started, but its signal module, gc or the types of the bridge did not");
        G.PyErr_Clear();
        (void)G.PyEval_SaveThread();
        pb_signals_stop();
        return -1;
    }
    pb_lease_start();
    pb_stack_start();
    pb_error_start();
    pb_text_start();
    (void)G.PyEval_SaveThread();
    (void)pthread_atfork(pb_attach_fork_before, pb_attach_fork_after, forked);
    pb_state.state = 1;
    pb_main_thread = &pb_me;
    pb_thread *t = pb_attach(&refused);     /* finds the state that the start made */
    if (t == NULL) {
        pb_state.state = 0;
        pb_signals_stop();
        snprintf(error, size, "too little stack on the main thread to run the guest: raise it with ulimit -s");
        return -1;
    }
    pb_detach(t);
    return 0;
}

/* After this nothing attaches any more.  The guest itself is left as it is: its daemon
 * threads may be running, and finalising it would end host threads that are inside. */
void pb_close(void)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL) {
        pb_state.state = 2;                 /* too deep in a recursion to do it properly */
        return;
    }
    pb_signals_stop();
    t->keep = 0;
    pb_detach(t);
    pb_state.state = 2;
}

/* The guest GIL is held over a fork, so that the child's only thread has it. */
static pb_thread *forking;

void pb_fork_before(void)
{
    int64_t refused = 0;
    pb_thread *t = pb_attach(&refused);
    if (t == NULL)
        return;                             /* not started: nothing to protect */
    G.PyOS_BeforeFork();            /* may run guest code, so before isolate.c's lock */
    pb_isolate_fork_before();
    forking = t;
}

void pb_fork_after(int child)
{
    pb_thread *t = forking;
    if (t == NULL)
        return;
    forking = NULL;
    pb_isolate_fork_after(child);
    if (child)
        G.PyOS_AfterFork_Child();
    else
        G.PyOS_AfterFork_Parent();
    t->keep = 0;
    pb_detach(t);
}
