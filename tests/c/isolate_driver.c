/* SPDX-License-Identifier: MIT
 *
 * Drives symbol isolation without the rest of the core: start a guest, run code in it.
 * FILES: isolate_driver.c and, of the core, isolate.c libpython.c hostnames.c elf*.c
 *
 *     gcc -shared -fPIC ... FILES -o libisolate_driver.so
 *         for a Python host, through ctypes or cffi's ABI mode
 *     gcc ... FILES -o isolate_driver
 *         a host of its own: isolate_driver <libpython> <program> <code>
 *
 * The guest runs without threads of its own making and keeps its GIL on the thread that
 * started it; drive_run may be called from any thread.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include "isolate.h"

#define EXPORT __attribute__((visibility("default")))

static void *guest;

static void *function(const char *name)
{
    void *address = dlsym(guest, name);
    if (address == NULL) {
        (void)fprintf(stderr, "isolate_driver: libpython lacks %s\n", name);
        abort();
    }
    return address;
}

/* 0, or -1 with a sentence in `error`. */
EXPORT int drive_load(const char *path, int enabled, char *error, size_t size);
EXPORT int drive_load(const char *path, int enabled, char *error, size_t size)
{
    void *loaded = pb_isolate_load(path, enabled, error, size);
    if (loaded == NULL)
        return -1;
    guest = loaded;
    return 0;
}

EXPORT const pb_isolate_report *drive_state(void);
EXPORT const pb_isolate_report *drive_state(void)
{
    return pb_isolate_state();
}

/* Start the guest as the interpreter `program` and let go of its GIL. */
EXPORT void drive_start(const char *program);
EXPORT void drive_start(const char *program)
{
    static wchar_t name[4096];

    (void)mbstowcs(name, program, sizeof name / sizeof name[0] - 1);
    *(int *)function("Py_UTF8Mode") = 1;
    *(int *)function("Py_IgnoreEnvironmentFlag") = 1;
    ((void (*)(const wchar_t *))function("Py_SetProgramName"))(name);
    ((void (*)(int))function("Py_InitializeEx"))(0);
    (void)((void *(*)(void))function("PyEval_SaveThread"))();
}

/* 0, or -1 after the guest has printed a traceback. */
EXPORT int drive_run(const char *code);
EXPORT int drive_run(const char *code)
{
    const int state = ((int (*)(void))function("PyGILState_Ensure"))();
    const int result = ((int (*)(const char *))function("PyRun_SimpleString"))(code);
    ((void (*)(int))function("PyGILState_Release"))(state);
    return result;
}

/* Around a fork of the host: the guest GIL first, isolation's lock second. */
EXPORT int drive_fork_before(void);
EXPORT int drive_fork_before(void)
{
    const int state = ((int (*)(void))function("PyGILState_Ensure"))();
    ((void (*)(void))function("PyOS_BeforeFork"))();
    pb_isolate_fork_before();
    return state;
}

EXPORT void drive_fork_after(int child, int state);
EXPORT void drive_fork_after(int child, int state)
{
    pb_isolate_fork_after(child);
    ((void (*)(void))function(child ? "PyOS_AfterFork_Child" : "PyOS_AfterFork_Parent"))();
    ((void (*)(int))function("PyGILState_Release"))(state);
}

int main(int argc, char **argv)
{
    const pb_isolate_report *report = pb_isolate_state();
    char error[1024];
    int result;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: %s libpython program code\n", argv[0]);
        return 2;
    }
    if (drive_load(argv[1], 1, error, sizeof error) < 0) {
        (void)fprintf(stderr, "%s\n", error);
        return 1;
    }
    drive_start(argv[2]);
    result = drive_run(argv[3]);
    (void)printf("enabled=%d hidden=%d prebound=%d patched=%d selftest=%d\n", report->enabled,
                 report->hidden, report->prebound, report->patched, report->selftest);
    return result < 0;
}
