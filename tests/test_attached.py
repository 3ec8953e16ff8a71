# SPDX-License-Identifier: MIT
"""Holding the guest's lock over a burst of calls."""

from __future__ import annotations

import threading

import children
import guests
import pytest

import pybridge


def on_a_thread(function):
    results = []

    def run():
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]


def test_calls_inside_take_the_lock_once():
    sqrt = pybridge.import_module("math").sqrt

    def burst():
        sqrt(1.0)
        before = pybridge.statistics().crossings
        with pybridge.attached():
            total = sum(sqrt(4.0) for _ in range(1000))
        return total, pybridge.statistics().crossings - before

    total, taken = on_a_thread(burst)
    assert total == 2000.0
    assert taken < 50


def test_it_may_be_nested_and_left_by_an_exception():
    a = pybridge.attached()
    with pytest.raises(ValueError, match=r"math domain|negative|nonnegative"):
        with a, a, pybridge.attached():
            pybridge.import_module("math").sqrt(-1.0)
    assert pybridge.eval("1 + 1") == 2
    with a:
        assert pybridge.eval("2 + 1") == 3


def test_callbacks_inside_work():
    reduce = pybridge.import_module("functools").reduce
    with pybridge.attached():
        assert reduce(lambda x, y: x + pybridge.eval("1") * y, range(10)) == 45


def test_other_threads_go_on_afterwards():
    count = []
    stop = threading.Event()

    def work():
        f = pybridge.eval("lambda x: x + 1")
        while not stop.is_set():
            count.append(f(1))

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(20):
        with pybridge.attached():
            for _i in range(200):
                assert pybridge.eval("3") == 3
    n = len(count)
    while len(count) < n + 10 and thread.is_alive():
        pybridge.eval("4")
    stop.set()
    thread.join()
    assert len(count) >= n + 10


def test_no_other_thread_calls_the_guest_inside():
    f = pybridge.eval("lambda x: x + 1")
    done = []
    thread = threading.Thread(target=lambda: done.append(f(1)))
    with pybridge.attached():
        pybridge.eval("1")
        thread.start()
        for _i in range(20000):
            if done:
                break
            sum(range(100))
        inside = list(done)
    thread.join(30)
    assert (inside, done) == ([], [2])


def test_only_the_thread_that_began_ends_it():
    a = pybridge.attached()
    with a:
        with pytest.raises(RuntimeError, match="is ended on the thread that began it"):
            on_a_thread(lambda: a.__exit__(None, None, None))
    with pytest.raises(RuntimeError, match="is ended on the thread"):
        a.__exit__(None, None, None)


# A C function that is called by its address, by several threads, and calls Python.
BY_ADDRESS = """
import threading
import pybridge
ctypes = pybridge.import_module("ctypes")
kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
f = pybridge.native(kind(FUNCTION))

def work():
    for _ in range(50):
        with pybridge.attached():
            assert f(1.5) == 3.0
            assert pybridge.eval("1") == 1
            assert f(2.5) == 5.0
        assert f(3.5) == 7.0

work()
threads = [threading.Thread(target=work) for _ in range(3)]
for t in threads: t.start()
work()
for t in threads: t.join()
print("ended")
"""


@guests.each
def test_guest_code_that_the_bridge_does_not_know_of_calls_the_host(python):
    """Python code that calls back: afterwards the lock is still this thread's."""
    out = children.run(
        BY_ADDRESS.replace(
            "FUNCTION",
            "pybridge.eval('lambda g: lambda x: g(x)')(lambda x: pybridge.eval('2.0') * x)",
        ),
        env=guests.env(python),
    )
    assert out.out == "ended\n"


@guests.each
def test_guest_code_that_the_bridge_does_not_know_of_finds_the_lock(python):
    """A C function called by address calls Python back, which asks PyGILState_Ensure."""
    out = children.run(
        BY_ADDRESS.replace("FUNCTION", "pybridge.eval('lambda x: 2 * x')"),
        env=guests.env(python),
    )
    assert out.out == "ended\n"


@guests.few
def test_guest_threads_fork_and_exit_after_it(python):
    out = children.run(
        """
        import os
        import pybridge
        names = {}
        pybridge.exec('''
        import threading, time
        ticks = []
        def tick():
            while True:
                ticks.append(1)
                time.sleep(0.001)
        threading.Thread(target=tick, daemon=True).start()
        ''', names)
        ticks = names["ticks"]
        for _ in range(20):
            with pybridge.attached():
                for _ in range(300):
                    pybridge.eval("1")
        with pybridge.attached():
            pid = os.fork()
            if pid == 0:
                assert pybridge.eval("5") == 5
                os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        n = len(ticks)
        while len(ticks) == n:
            pass
        a = pybridge.attached()
        a.__enter__()
        print("ended", flush=True)
        """,
        env=guests.env(python),
    )
    assert out.out == "ended\n"


def test_claims_in_quick_succession():
    """Two threads that want the lock at once: the main one took it from itself, for ever, or
    died of a thread state that it had already."""
    children.run(
        """
        import threading, time, pybridge
        pybridge.eval("lambda x: x + 1")(1)  # classes are met: that takes a lock of the host's
        end = time.monotonic() + 3

        def calls():  # a thread of its own each time: in between there is a lease to end
            f = pybridge.eval("lambda x: x + 1")
            for _ in range(20):
                f(1)

        def starts():
            while time.monotonic() < end:
                some = [threading.Thread(target=calls) for _ in range(3)]
                for t in some: t.start()
                for t in some: t.join()

        starter = threading.Thread(target=starts)
        starter.start()
        while time.monotonic() < end:
            with pybridge.attached():
                for _ in range(20):
                    pybridge.eval("3")
            for _ in range(50):
                pybridge.eval("4")
        starter.join()
        """,
        timeout=60,
    )


@guests.few
@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_thread_inside_meets_a_class_while_another_thread_does(python, where):
    """The other one has the lock of classes and waits for the guest's: this one, which had the
    guest's, waited for that of classes."""
    out = children.run(
        """
        import sys, threading, pybridge
        there, inside = threading.Event(), threading.Event()

        def asked(name):  # while the other thread meets Met
            there.set()
            inside.wait()
            raise AttributeError(name)

        module = pybridge.import_module("types").ModuleType("slow")
        module.__getattr__ = asked
        pybridge.import_module("sys").modules["slow"] = module
        met = pybridge.eval("lambda: type('Met', (), {'__module__': 'slow'})()")
        mine = pybridge.eval("lambda: type('Mine', (), {})()")
        names = []
        other = threading.Thread(target=lambda: names.append(type(met()).__name__))

        def work():
            other.start()
            there.wait()
            with pybridge.attached():
                with pybridge.attached():
                    inside.set()
                    names.append(type(mine()).__name__)
                before = pybridge.statistics().crossings
                for i in range(100):
                    pybridge.eval("1")
                assert pybridge.statistics().crossings - before < 10  # it has the lock again
            other.join()
            print(*sorted(names))

        if sys.argv[1] == "main":
            work()
        else:
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        """,
        where,
        env=guests.env(python),
    )
    assert out.out == "Met Mine\n"
