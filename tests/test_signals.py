# SPDX-License-Identifier: MIT
"""Ctrl-C: one signal is one KeyboardInterrupt, wherever the program is.  Other signals: the
host's handlers run while guest code runs."""

from __future__ import annotations

import json

import children
import guests

# `interrupt(f)` sends SIGINT to this process while f() runs on the main thread.  It gives
# the KeyboardInterrupts that came and the seconds from the signal to the return.
PREPARE = """
    import os, signal, sys, threading, time
    import pybridge
    pybridge.exec('''
    import time
    def loop(seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for i in range(100): pass
    def sleep(seconds=20): time.sleep(seconds)
    def catch(f):
        try: f()
        except KeyboardInterrupt: return "caught"
        return "returned"
    def total(n): return sum(range(n))
    def power(n): return (3 ** n) % 10
    def call(f): return f()
    ''', ns := {})
    # One thread sends all of them: at the death of a Thread the host runs a weakref callback
    # of its own, and a KeyboardInterrupt that comes in the middle of that one is ignored.
    asked, sent = [], []
    def send():
        while True:
            if asked:
                time.sleep(asked.pop())
                now = time.monotonic()
                os.kill(os.getpid(), signal.SIGINT)
                sent.append(now)
            time.sleep(0.001)
    threading.Thread(target=send, daemon=True).start()
    def interrupt(f, after=0.06):
        came = 0
        answer = None
        del sent[:]
        try:
            asked.append(after)
            answer = f()
        except KeyboardInterrupt:
            came += 1
        took = time.monotonic()
        try:
            while not sent: time.sleep(0.001)
            # None is left over, on either side.
            ns["loop"](0.02)
            for _ in range(1000): pass
            time.sleep(0.01)
        except KeyboardInterrupt:
            came += 1
        return came, took - sent[-1], answer
"""


@guests.each
def test_guest_code_is_interrupted_once_and_at_once(python):
    result = children.run(
        PREPARE
        + """
    def host_loop():
        while True: pass
    def callback_loop(): ns["call"](host_loop)
    def callback_sleep(): ns["call"](lambda: time.sleep(20))
    def deep(): ns["call"](lambda: ns["call"](lambda: ns["loop"]()))
    for f in (ns["loop"], ns["sleep"], callback_loop, callback_sleep, deep):
        came, took, _ = interrupt(f)
        assert came == 1, (f, came)
        assert took < 5, (f, took)
        print(getattr(f, "__name__", f), f"{took * 1000:.1f} ms", end="; ")
    # The guest can catch it.
    for f in (ns["loop"], ns["sleep"]):
        came, took, answer = interrupt(lambda: ns["catch"](f))
        assert (came, answer) == (0, "caught"), (came, answer)
        assert took < 5, took
    # The traceback shows guest and host frames.
    import traceback
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        deep()
    except KeyboardInterrupt as error:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        assert "in deep" in text and "in loop" in text and "in call" in text, text
    # During host code nothing is different.
    assert interrupt(host_loop)[0] == 1
    assert interrupt(lambda: time.sleep(20))[0] == 1
""",
        env=guests.env(python),
    )
    print(result.out)


@guests.few
def test_c_code_that_never_looks_is_interrupted_when_it_ends(python):
    children.run(
        PREPARE
        + """
    import time
    for name, n in (("total", 200_000), ("power", 20_000)):
        while True:                              # more than 0.2 s
            before = time.monotonic()
            ns[name](n)
            if time.monotonic() - before > 0.2: break
            n *= 2
        came, took, _ = interrupt(lambda: ns[name](n))
        assert came == 1, (name, came)
""",
        env=guests.env(python),
    )


@guests.few
def test_a_signal_in_a_short_callback_is_not_left_to_wait(python):
    """PyPy looks for signals at backward jumps, of which such a callback has none."""
    children.run(
        """
    import os, signal, time
    import cffi
    import pybridge
    ffi = cffi.FFI()
    ffi.cdef("int kill(int, int);")
    kill, me = ffi.dlopen(None).kill, os.getpid()
    pybridge.exec('''
    import time
    def sleeps(f):
        f()
        time.sleep(20)
    def repeats(f):
        for _ in range(400): f(); time.sleep(0.05)
    ''', ns := {})
    for work in ns["sleeps"], ns["repeats"]:
        for handler in signal.default_int_handler, lambda number, frame: 1 / 0:
            signal.signal(signal.SIGINT, handler)
            begin = time.monotonic()
            try:
                work(lambda: kill(me, signal.SIGINT))
            except (KeyboardInterrupt, ZeroDivisionError) as exc:
                is_plain = isinstance(exc, KeyboardInterrupt)
                assert is_plain == (handler is signal.default_int_handler), exc
            else:
                raise AssertionError("nothing came")
            assert time.monotonic() - begin < 10
            for _ in range(1000): pass              # and nothing is left over
""",
        env=guests.env(python),
    )


@guests.few
def test_fifty_interrupts_under_load_none_lost_none_doubled(python):
    """In host code PyPy itself may lose one: in the middle of a weakref callback, whose
    exceptions are ignored, and which says so.  Not more are lost than it says.

    One that comes just as host code is about to begin a long call is noticed at its end, as
    with any blocking call of PyPy's: here the call has begun.
    """
    result = children.run(
        PREPARE
        + """
    import gc, random
    random.seed(1)
    for _ in range(3): gc.collect()
    lost = 0
    sqrt = pybridge.import_module("math").sqrt
    def calls():
        end = time.monotonic() + 1
        while time.monotonic() < end: sqrt(2.0)
    def callbacks():
        end = time.monotonic() + 1
        while time.monotonic() < end: ns["call"](lambda: sqrt(2.0))
    stop = []
    def load():
        while not stop:
            ns["total"](20000)
            sum(range(2000))
    ts = [threading.Thread(target=load) for _ in range(1)]
    for t in ts: t.start()
    try:
        for i in range(50):
            f = (calls, callbacks, ns["loop"], ns["sleep"])[i % 4]
            came, took, _ = interrupt(f, after=0.03 + random.random() * 0.02)
            assert came <= 1, (i, came)
            lost += 1 - came
            assert took < 3 or came == 0, (i, took)
    finally:
        stop.append(1)
        for t in ts: t.join()
    print(lost)
""",
        env=guests.env(python),
        timeout=60,
    )
    assert int(result.out) <= result.err.count("Exception ignored in"), result.text()


@guests.few
def test_a_worker_inside_the_guest_is_not_what_is_interrupted(python):
    children.run(
        PREPARE
        + """
    ended = []
    def work():
        try:
            ns["loop"](0.6)
            ended.append("normally")
        except BaseException as error:
            ended.append(error)
    t = threading.Thread(target=work)
    t.start()
    assert interrupt(lambda: time.sleep(20))[0] == 1
    while not ended: time.sleep(0.01)
    assert ended == ["normally"], ended
    t = threading.Thread(target=work)
    t.start()
    assert interrupt(ns["sleep"])[0] == 1
    t.join()
    assert ended == ["normally"] * 2, ended
""",
        env=guests.env(python),
    )


@guests.each
def test_the_programs_own_handler_is_called_in_guest_code(python):
    """One installed after the start, before it, none, the default action, a guest's."""
    children.run(
        """
    import signal
    early = []
    signal.signal(signal.SIGINT, lambda number, frame: early.append(number))
"""
        + PREPARE
        + """
    came, took, answer = interrupt(lambda: ns["loop"](0.15))
    assert (came, early) == (0, [2]), (came, early)

    calls = []
    def handler(number, frame):
        calls.append((number, frame is not None))
    signal.signal(signal.SIGINT, handler)
    for f in (lambda: ns["loop"](0.15), lambda: ns["sleep"](0.15), lambda: time.sleep(0.15)):
        before = time.monotonic()
        came, took, answer = interrupt(f)
        assert time.monotonic() - before > 0.149
        assert (came, calls) == (0, [(2, True)]), (f, came, calls)
        del calls[:]
    assert early == [2]

    class Stop(Exception): pass
    def stop(number, frame): raise Stop("now")
    signal.signal(signal.SIGINT, stop)
    try:
        interrupt(ns["loop"])
        raise AssertionError
    except Stop as error:
        assert error.args == ("now",)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert interrupt(lambda: ns["loop"](0.15))[0] == 0
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert interrupt(ns["loop"])[0] == 1

    # The guest's own handler, for guest code; the host's afterwards as before.
    pybridge.exec('''
    import signal
    seen = []
    old = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    def again(): signal.signal(signal.SIGINT, old)
    def hold():
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        import time; time.sleep(0.1)
        signal.signal(signal.SIGINT, before)
    ''', guest := {})
    assert interrupt(lambda: ns["loop"](0.15))[0] == 0
    assert guest["seen"][0] == 2 and len(guest["seen"]) == 1, guest["seen"]
    guest["again"]()
    guest["hold"]()
    assert interrupt(ns["loop"])[0] == 1
    def host_loop():
        while True: pass
    assert interrupt(host_loop)[0] == 1

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    interrupt(ns["loop"])
    print("not reached")
""",
        rc=-2,
        env=guests.env(python),
    )


@guests.each
def test_the_processs_handlers_are_the_hosts_again_at_the_end(python):
    result = children.run(
        """
        import cffi, signal
        ffi = cffi.FFI()
        ffi.cdef("int sigaction(int, const char *, char *);")
        c = ffi.dlopen(None)
        def action(number):                     # the handler and the flags
            now = ffi.new("char[152]")
            assert c.sigaction(number, ffi.NULL, now) == 0
            data = bytes(ffi.buffer(now))
            flags = int.from_bytes(data[136:140], "little") & ~0x04000000  # SA_RESTORER: libc's
            return data[:8], flags
        names = [n for n in range(1, 32) if n not in (9, 19)] + list(range(34, 65))
        before = {n: action(n) for n in names}
        import pybridge
        pybridge.start()
        from pybridge import _runtime
        after = {n for n in names if action(n) != before[n]}
        pybridge.eval("sum(range(100))")
        _runtime._close()
        closed = {n for n in names if action(n) != before[n]}
        print(str(sorted(after)).replace(" ", ""), sorted(closed))
        """,
        env=guests.env(python),
        stacks=False,
    )
    after, closed = result.out.split()
    assert closed == "[]"
    sigint, own = json.loads(after)  # the other is the bridge's own, see notice.c
    assert sigint == 2 and 34 <= own <= 64


# `after(seconds, number)` sends a signal to this process then; `log` is when handlers ran.
OTHERS = """
    import os, signal, threading, time
    import pybridge
    pybridge.exec('''
    import os, signal, time
    def loop(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for i in range(100): pass
        return "through"
    def sleep(seconds): time.sleep(seconds); return "through"
    def read(seconds):
        r, w = os.pipe()
        os.read(r, 1)
    def call(f): return f()
    ''', ns := {})
    log = []
    class Stop(Exception): pass
    def stop(number, frame):
        log.append(time.monotonic())
        raise Stop(number)
    def note(number, frame): log.append(time.monotonic())
    asked, sent = [], []
    def send():
        while True:
            if asked:
                delay, number = asked.pop()
                time.sleep(delay)
                sent.append(time.monotonic())
                os.kill(os.getpid(), number)
            time.sleep(0.001)
    threading.Thread(target=send, daemon=True).start()
    def after(delay, number):
        del log[:], sent[:]
        asked.append((delay, number))
"""


@guests.each
def test_handlers_for_other_signals_run_while_guest_code_runs(python):
    result = children.run(
        OTHERS
        + """
    for number in signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH, signal.SIGRTMIN + 3:
        for f in ns["loop"], ns["sleep"], ns["read"]:
            best = 9
            for delay in 0.002, 0.05, 0.1:
                signal.signal(number, stop)
                after(delay, number)
                try:
                    f(20)
                    raise AssertionError("nothing came")
                except Stop as error:
                    assert error.args == (number,)
                    best = min(best, log[0] - sent[0])
                    assert time.monotonic() - log[0] < 5
                signal.signal(number, signal.SIG_DFL)
            assert best < 0.1, (number, f, best)
            print(f"{best * 1000:.1f}", end=" ")
    # One that returns: guest code goes on, as often as it comes.
    signal.signal(signal.SIGALRM, note)
    for f in ns["loop"], ns["sleep"], lambda s: ns["call"](lambda: ns["loop"](s)):
        del log[:]
        signal.setitimer(signal.ITIMER_REAL, 0.04, 0.04)
        assert f(0.5) == "through"
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert len(log) >= 5, len(log)
    # One that calls the guest again.
    seen = []
    signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(ns["call"](lambda: number)))
    after(0.05, signal.SIGUSR2)
    assert ns["loop"](0.3) == "through" and seen == [signal.SIGUSR2]
    # The traceback has the frames of both sides.
    import traceback
    signal.signal(signal.SIGUSR2, stop)
    after(0.05, signal.SIGUSR2)
    try:
        ns["call"](lambda: ns["loop"](20))
    except Stop:
        text = traceback.format_exc()
        assert "in loop" in text and "in stop" in text, text
""",
        env=guests.env(python),
    )
    print(result.out)


@guests.few
def test_a_signal_just_before_guest_code_is_not_left_to_wait(python):
    children.run(
        OTHERS
        + """
    import cffi
    ffi = cffi.FFI()
    ffi.cdef("int kill(int, int);")
    kill, me = ffi.dlopen(None).kill, os.getpid()
    signal.signal(signal.SIGUSR1, note)
    ns["loop"](0.1)                             # long enough to be seen
    for f in ns["loop"], ns["sleep"]:
        for _ in range(5):
            del log[:]
            begin = time.monotonic()
            kill(me, signal.SIGUSR1)
            assert f(0.4) == "through"
            assert log[0] - begin < 0.3, log[0] - begin
""",
        env=guests.env(python),
    )


@guests.each
def test_the_guests_own_handlers_are_left_alone(python):
    children.run(
        OTHERS
        + """
    pybridge.exec('''
    interrupts, users = [], []
    signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    signal.signal(signal.SIGUSR1, lambda number, frame: users.append(number))
    ''', ns)
    signal.signal(signal.SIGUSR2, note)
    def loop():
        ns["loop"](0.1)
        while not sent:  # a busy machine is late
            ns["loop"](0.05)
        ns["loop"](0.01)
    for _ in range(3):
        after(0.03, signal.SIGUSR2)
        loop()
        assert len(log) == 1, log
        after(0.03, signal.SIGUSR1)
        loop()
        assert not log
    assert list(ns["interrupts"]) == [] and list(ns["users"]) == [signal.SIGUSR1] * 3
    assert signal.getsignal(signal.SIGUSR2) is note
    # A worker in the guest is not what a signal ends.
    signal.signal(signal.SIGUSR2, stop)
    ended = []
    t = threading.Thread(target=lambda: ended.append(ns["loop"](0.5)))
    t.start()
    after(0.05, signal.SIGUSR2)
    try:
        time.sleep(20)
    except Stop:
        pass
    t.join()
    assert ended == ["through"]
    # A forked child is as its parent.
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        signal.signal(signal.SIGALRM, stop)
        try:
            ns["sleep"](20)
        except Stop:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    # The default action is the process's end.
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    after(0.05, signal.SIGUSR2)
    ns["sleep"](20)
""",
        rc=-12,
        env=guests.env(python),
    )
