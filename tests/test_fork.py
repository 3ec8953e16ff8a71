# SPDX-License-Identifier: MIT
"""Forks: the child of a fork can call, whatever other threads were doing in the guest."""

from __future__ import annotations

import children
import guests

# `forked(f)` runs f in a child and gives its exit status; a child that hangs is killed.
PREPARE = """
    import os, signal, sys, threading, time
    import pybridge
    pybridge.exec('''
    import threading, time
    def spin(seconds=100):
        end = time.monotonic() + seconds
        while time.monotonic() < end: pass
    def call(f): return f()
    def thread_sum(n):
        out = []
        t = threading.Thread(target=lambda: out.append(sum(range(n))))
        t.start()
        t.join()
        return out[0]
    ''', ns := {})
    sqrt = pybridge.import_module("math").sqrt
    def wait(pid):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done: return status
            time.sleep(0.002)
        os.kill(pid, signal.SIGABRT)
        return os.waitpid(pid, 0)[1]
    def forked(f):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                f()
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        return wait(pid)
    def check():
        for i in range(50): assert sqrt(4.0) == 2.0
        assert ns["call"](lambda: sqrt(9.0)) == 3.0
        assert ns["thread_sum"](100) == 4950
        t = threading.Thread(target=lambda: sqrt(16.0))
        t.start()
        t.join()
        assert sqrt(25.0) == 5.0
"""


@guests.each
def test_a_child_can_call_while_other_threads_were_in_the_guest(python):
    children.run(
        PREPARE
        + """
    def work():
        ns["spin"]()
    def calls():
        while True: ns["call"](lambda: sqrt(2.0))
    threading.Thread(target=work, daemon=True).start()
    threading.Thread(target=calls, daemon=True).start()
    time.sleep(0.05)
    for _ in range(10):
        assert forked(check) == 0
    # From another thread than the main one, which becomes the child's main thread.
    statuses = []
    t = threading.Thread(target=lambda: statuses.append(forked(check)))
    t.start()
    t.join()
    assert statuses == [0], statuses
    check()
""",
        env=guests.env(python),
        timeout=60,
    )


@guests.each
def test_forks_with_a_lease_in_a_callback_and_of_a_child(python):
    children.run(
        PREPARE
        + """
    for _ in range(20):
        sqrt(2.0)
        assert forked(check) == 0                # the main thread keeps the GIL
    assert ns["call"](lambda: forked(check)) == 0
    assert ns["call"](lambda: ns["call"](lambda: forked(check))) == 0
    def back():                                  # the child goes back through the guest
        pid = ns["call"](os.fork)
        if pid == 0:
            code = 1
            try:
                check()
                code = 0
            finally:
                os._exit(code)
        return wait(pid)
    assert back() == 0
    assert forked(lambda: exit_with(forked(check))) == 0
    check()
""".replace("exit_with(forked(check))", "forked(check) and 1 // 0"),
        env=guests.env(python),
    )


def test_a_hundred_forks():
    children.run(
        PREPARE
        + """
    def calls():
        while True: ns["call"](lambda: sqrt(2.0))
    threading.Thread(target=calls, daemon=True).start()
    for i in range(100):
        assert forked(lambda: sqrt(4.0)) == 0, i
        sqrt(2.0)
    check()
""",
        timeout=60,
    )


@guests.each
def test_signals_and_leases_work_in_a_child(python):
    children.run(
        PREPARE
        + """
    def interrupted():
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            ns["spin"](20)
        except KeyboardInterrupt:
            return
        raise AssertionError
    def lease():
        for _ in range(100): sqrt(2.0)
        t = threading.Thread(target=sqrt, args=(2.0,))
        t.start()
        end = time.monotonic() + 5
        while t.is_alive(): assert time.monotonic() < end
    sqrt(2.0)
    assert forked(interrupted) == 0
    assert forked(lease) == 0
    statuses = []
    def on_a_worker():
        statuses.append(forked(lease))
        # CPython 3.13 itself: the child's interrupts still go to the parent's main thread.
        if pybridge.import_module("sys").version_info[1] != 13:
            statuses.append(forked(interrupted))
    t = threading.Thread(target=on_a_worker)
    t.start()
    t.join()
    assert statuses and not any(statuses), statuses
""",
        env=guests.env(python),
    )


@guests.few
def test_the_guest_forks_and_starts_processes(python):
    children.run(
        PREPARE
        + """
    pybridge.exec('''
    import os, subprocess, sys
    def guest_fork():
        pid = os.fork()
        if pid == 0:
            os._exit(sum(range(5)))
        return os.waitpid(pid, 0)[1] >> 8
    def guest_subprocess():
        return subprocess.run([sys.executable, "-I", "-c", "print(6 * 7)"],
                              stdout=subprocess.PIPE, text=True).stdout
    ''', more := {})
    for _ in range(5): assert more["guest_fork"]() == 10
    threading.Thread(target=ns["spin"], daemon=True).start()
    assert more["guest_fork"]() == 10
    assert more["guest_subprocess"]() == "42\\n"
    import subprocess
    for _ in range(5):
        sqrt(2.0)
        answer = subprocess.run([sys.executable, "-c", "print(1)"], stdout=subprocess.PIPE)
        assert answer.stdout == b"1\\n"
    answer = subprocess.run("echo 2", shell=True, stdout=subprocess.PIPE, close_fds=False)
    assert answer.stdout == b"2\\n"
    check()
""",
        env=guests.env(python),
    )


@guests.few
def test_nobody_forks_while_a_thread_comes_to_the_guest_for_the_first_time(python):
    """CPython before 3.11 waited in the child for the lock under which a thread's state is
    made: one fork in some hundred.  From 3.13 on who forks has that lock when he does, and
    waited for the bridge's, whose owner waited for it."""
    children.run(
        PREPARE
        + """
    pybridge.exec('''
    import os, signal, time
    def guest_fork():
        pid = os.fork()
        if pid == 0:
            os._exit(10)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done: return status >> 8
            time.sleep(0.0002)
        os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)
    ''', more := {})
    for _ in range(600):
        thread = threading.Thread(target=sqrt, args=(4.0,))
        thread.start()
        assert more["guest_fork"]() == 10
        thread.join()
    check()
""",
        env=guests.env(python),
    )


@guests.few
def test_multiprocessing_of_the_host_with_fork(python):
    children.run(
        PREPARE
        + """
    import multiprocessing
    def square(x): return sqrt(float(x)) ** 2
    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        threading.Thread(target=ns["spin"], args=(1.0,), daemon=True).start()
        with context.Pool(2) as pool:
            assert [round(x) for x in pool.map(square, range(20))] == list(range(20))
        p = context.Process(target=check)
        p.start()
        p.join(10)
        assert p.exitcode == 0, p.exitcode
        check()
""",
        env=guests.env(python),
    )


@guests.few
def test_multiprocessing_of_the_guest(python):
    children.run(
        PREPARE
        + """
    pybridge.exec('''
    import multiprocessing, math
    def run(method):
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            return tuple(pool.map(math.isqrt, [1, 4, 9, 16]))
    ''', more := {})
    for method in ("fork", "spawn", "forkserver"):
        assert more["run"](method) == (1, 2, 3, 4), method
    check()
""",
        env=guests.env(python),
        timeout=60,
    )
