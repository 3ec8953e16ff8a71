# SPDX-License-Identifier: MIT
"""Waiting for a lock of the bridge: without the guest's GIL."""

from __future__ import annotations

import _thread
import re
from pathlib import Path

import children
import guests

import pybridge
from pybridge._locks import locked, take


def test_while_no_thread_is_attached_it_is_the_interpreters_own():
    lock = _thread.RLock()
    assert locked(lock) is lock
    with pybridge.attached():
        assert locked(lock) is not lock
        with pybridge.attached():
            pass
        assert locked(lock) is not lock
    assert locked(lock) is lock


def test_inside_it_is_taken_and_given_back():
    lock = _thread.allocate_lock()
    with pybridge.attached():
        with locked(lock):
            assert lock.locked() and pybridge.eval("1") == 1
        assert not lock.locked()
    take(lock)
    assert lock.locked()
    lock.release()


def test_no_module_waits_otherwise():
    texts = {p.name: p.read_text() for p in Path(pybridge.__file__).parent.glob("*.py")}
    made = r"(\w+)(?:: \w+)? = (?:_thread\.(?:allocate_lock|RLock)\(|_kinds\.lock\b)"
    names = {name for text in texts.values() for name in re.findall(made, text)}
    assert {"lock", "_lock", "_making", "_counting"} <= names
    waits = re.compile(rf"\bwith (?:\w+\.)*(?:{'|'.join(names)})\b.*|.*\.acquire\(\)")
    del texts["_locks.py"]
    assert {
        name: waits.findall(text) for name, text in texts.items() if waits.search(text)
    } == {}


# A thread has the lock and calls the guest; `wait` waits for the lock inside `attached`.
CONTENDED = """
import threading, pybridge
from pybridge import _runtime
from pybridge._locks import locked
sqrt = pybridge.import_module("math").sqrt

def contend(lock, wait):
    there, inside = threading.Event(), threading.Event()
    answers = []

    def other():
        with locked(lock):
            there.set()
            inside.wait()
            for i in range(50):
                answers.append(sqrt(i * i))

    thread = threading.Thread(target=other)
    thread.start()
    there.wait()
    with pybridge.attached():
        sqrt(1.0)
        inside.set()
        wait(lock)
        assert len(answers) == 50
        before = pybridge.statistics().crossings
        for i in range(100):
            sqrt(4.0)
        assert pybridge.statistics().crossings - before < 10  # the GIL is kept again
    thread.join()

def plainly(lock):
    with locked(lock):
        assert sqrt(9.0) == 3.0
"""


@guests.each
def test_who_has_a_lock_of_the_bridge_gets_the_guest(python):
    """Each of them, awaited by the main thread and by another."""
    out = children.run(
        CONTENDED
        + """
for lock in _runtime._locks:
    contend(lock, plainly)
    thread = threading.Thread(target=contend, args=(lock, plainly))
    thread.start()
    thread.join()
print("ended")
""",
        env=guests.env(python),
    )
    assert out.out == "ended\n"


@guests.few
def test_a_callback_inside_waits_likewise(python):
    out = children.run(
        CONTENDED
        + """
def in_a_callback(lock):
    def callback(x):
        plainly(lock)
        return x
    assert list(pybridge.eval("lambda f: [f(i) for i in range(3)]")(callback)) == [0, 1, 2]

for lock in _runtime._locks[:2]:
    contend(lock, in_a_callback)
print("ended")
""",
        env=guests.env(python),
    )
    assert out.out == "ended\n"


@guests.few
def test_a_signal_handler_that_calls_the_guest_while_a_lock_is_awaited(python):
    """What it calls must not keep the GIL: the thread waits on."""
    out = children.run(
        CONTENDED
        + """
import signal, time
handled = []
waiting = threading.Event()

def handler(number, frame):
    handled.append(sqrt(16.0))
    with pybridge.attached():
        handled.append(sqrt(25.0))

signal.signal(signal.SIGALRM, handler)
lock = threading.RLock()
there = threading.Event()
answers = []

def other():
    with locked(lock):
        there.set()
        waiting.wait()
        while not handled:
            time.sleep(0.001)
        answers.append(sqrt(4.0))

thread = threading.Thread(target=other)
thread.start()
there.wait()
with pybridge.attached():
    with pybridge.attached():
        sqrt(1.0)
        waiting.set()
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with locked(lock):
            assert answers == [2.0]
        assert sqrt(1.0) == 1.0
    assert pybridge.statistics() and sqrt(9.0) == 3.0
thread.join()
print(*handled)
""",
        env=guests.env(python),
    )
    assert out.out == "4.0 5.0\n"


@guests.few
def test_fork_inside_while_another_thread_has_a_lock(python):
    out = children.run(
        CONTENDED
        + """
import os

def fork(lock):
    pid = os.fork()
    if pid == 0:
        assert sqrt(16.0) == 4.0
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7

for lock in _runtime._locks:
    contend(lock, fork)
print("ended")
""",
        env=guests.env(python),
    )
    assert out.out == "ended\n"
