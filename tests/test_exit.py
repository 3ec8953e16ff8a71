# SPDX-License-Identifier: MIT
"""The host's exit: the guest's work is finished, its output written, the status right."""

from __future__ import annotations

import children
import guests
import pytest


@guests.each
def test_guest_atexit_runs_and_buffered_output_is_written(python):
    result = children.run(
        """
        import pybridge
        pybridge.exec('''
        import atexit, sys, io
        atexit.register(lambda: print("guest atexit"))
        atexit.register(lambda: sys.stderr.write("on stderr"))
        sys.stdout.reconfigure(line_buffering=False)
        print("guest, buffered")
        ''')
        print("host", flush=True)
        """,
        env=guests.env(python),
    )
    assert sorted(result.out.splitlines()) == ["guest atexit", "guest, buffered", "host"]
    assert result.err == "on stderr"
    assert result.out.splitlines()[-1] == "guest atexit"


@guests.few
def test_output_of_both_sides_comes_out_in_order(python):
    result = children.run(
        """
        import pybridge
        for i in range(3):
            print("host", i)
            pybridge.exec(f"print('guest', {i})")
        """,
        env=guests.env(python),
    )
    assert result.out.split("\n") == [
        *(f"{side} {i}" for i in range(3) for side in ("host", "guest")),
        "",
    ]


@pytest.mark.parametrize(
    ("last", "rc", "err"),
    [
        pytest.param("pass", 0, "", id="normal"),
        pytest.param("import sys; sys.exit(3)", 3, "", id="host-sys.exit"),
        pytest.param("pybridge.exec('import sys; sys.exit(4)')", 4, "", id="guest-sys.exit"),
        pytest.param("pybridge.exec('import sys; sys.exit()')", 0, "", id="guest-exit-none"),
        pytest.param("pybridge.exec('raise SystemExit(\"text\")')", 1, "text\n", id="text"),
        pytest.param("pybridge.eval('1 // 0')", 1, "ZeroDivisionError", id="guest-error"),
        pytest.param("raise KeyError('k')", 1, "KeyError", id="host-error"),
        pytest.param("import os; os._exit(5)", 5, "", id="os._exit"),
        pytest.param("pybridge.exec('import os; os._exit(6)')", 6, "", id="guest-os._exit"),
    ],
)
def test_exit_status(last, rc, err):
    result = children.run(f"import pybridge\npybridge.start()\n{last}\n", rc=rc)
    assert err in result.err and bool(err) == bool(result.err), result.text()


@guests.few
def test_guest_threads_that_are_no_daemons_are_awaited_others_not(python):
    result = children.run(
        """
        import pybridge
        pybridge.exec('''
        import threading, time
        def late():
            time.sleep(0.3)
            print("late")
        def never():
            while True: pass
        def asleep(): time.sleep(100)
        threading.Thread(target=late).start()
        threading.Thread(target=never, daemon=True).start()
        threading.Thread(target=asleep, daemon=True).start()
        ''')
        """,
        env=guests.env(python),
    )
    assert result.out == "late\n" and result.err == ""


@guests.each
def test_host_threads_inside_the_guest_and_callbacks_do_not_stop_the_exit(python):
    result = children.run(
        """
        import threading, time
        import pybridge
        pybridge.exec('''
        import threading, time
        def spin():
            while True: pass
        def sleep(): time.sleep(100)
        def call(f):
            while True: f()
        def guest_thread(f): threading.Thread(target=call, args=(f,), daemon=True).start()
        ''', ns := {})
        sqrt = pybridge.import_module("math").sqrt
        def calls():
            while True: sqrt(2.0)
        def host_sleep(): time.sleep(100)
        jobs = [(ns["spin"],), (ns["sleep"],), (ns["call"], lambda: 1), (calls,),
                (ns["call"], host_sleep)]
        for f, *args in jobs:
            def run(f=f, args=args):
                try:
                    f(*args)
                except (pybridge.GuestClosed, ReferenceError):
                    pass
            threading.Thread(target=run, daemon=True).start()
        ns["guest_thread"](lambda: 2)
        time.sleep(0.3)
        print("end", flush=True)
        """,
        env=guests.env(python),
    )
    assert result.out == "end\n"
    assert "Fatal" not in result.err, result.text()


@guests.each
def test_after_the_close_calls_and_callbacks_are_refused(python):
    result = children.run(
        """
        import atexit
        import pybridge
        @atexit.register                     # before the bridge's: runs after it
        def after():
            for what, f in (
                ("call", lambda: sqrt(4.0)),
                ("attribute", lambda: math.pi),
                ("import", lambda: pybridge.import_module("json")),
                ("eval", lambda: pybridge.eval("1")),
                ("start", lambda: pybridge.start()),
            ):
                try:
                    f()
                except pybridge.GuestClosed as error:
                    print(what, "closed" in str(error))
            print(repr(math)[:3] != "")
            pybridge.release(math)
            print(pybridge.statistics().handles_open > 0)
        math = pybridge.import_module("math")
        sqrt = math.sqrt
        pybridge.exec('''
        import threading, time
        def later(f):
            def work():
                for _ in range(200):
                    time.sleep(0.005)
                    try: f()
                    except ReferenceError:
                        return       # says nothing: it would be amid the lines of the host
            threading.Thread(target=work, daemon=True).start()
        ''', ns := {})
        ns["later"](lambda: None)
        @atexit.register
        def callbacks_still_work_here():
            print(sqrt(9.0), pybridge.eval("max")((1, 2), key=lambda x: -x))
        import time
        @(lambda f: atexit._run_exitfuncs and f)
        def unused(): pass
        """,
        env=guests.env(python),
    )
    lines = result.out.splitlines()
    assert lines[0] == "3.0 1"
    assert lines[1:6] == [f"{n} True" for n in ("call", "attribute", "import", "eval", "start")]
    assert result.err == ""


@guests.few
def test_a_callback_after_the_close_is_a_reference_error_in_the_guest(python):
    result = children.run(
        """
        import time
        import pybridge
        from pybridge import _runtime
        pybridge.exec('''
        import os, threading, time
        def begin(f):
            def work():
                while True:
                    time.sleep(0.005)
                    try: f()
                    except ReferenceError as error:
                        os.write(1, ("guest: " + str(error)).encode())
                        return
            threading.Thread(target=work, daemon=True).start()
        ''', ns := {})
        ns["begin"](lambda: None)
        _runtime._close()
        time.sleep(0.2)
        """,
        env=guests.env(python),
    )
    assert result.out.startswith("guest: ") and "closed" in result.out


def test_a_host_atexit_function_may_use_the_guest():
    result = children.run(
        """
        import atexit
        import pybridge
        pybridge.start()
        atexit.register(lambda: print(pybridge.eval("6 * 7")))
        """
    )
    assert result.out == "42\n"


def test_an_error_in_a_guest_atexit_function_is_told_and_the_others_run():
    result = children.run(
        """
        import pybridge
        pybridge.exec('''
        import atexit
        atexit.register(print, "the other")
        atexit.register(lambda: 1 // 0)
        ''')
        """
    )
    assert result.out == "the other\n"
    assert "ZeroDivisionError" in result.err


@guests.few
def test_exits_one_after_the_other_are_clean(python):
    for _ in range(5):
        result = children.run(
            """
            import threading
            import pybridge
            sqrt = pybridge.import_module("math").sqrt
            def work():
                try:
                    while True: sqrt(2.0)
                except pybridge.GuestClosed:
                    pass
            for _ in range(3): threading.Thread(target=work, daemon=True).start()
            for _ in range(1000): sqrt(2.0)
            """,
            env=guests.env(python),
        )
        assert "Fatal" not in result.err, result.text()
