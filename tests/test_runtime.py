# SPDX-License-Identifier: MIT
"""The start: once, on the main thread, of the interpreter asked for, whatever the environment.

See test_exit for the other end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import children
import guests
import pytest

import pybridge

PYPY = sys.implementation.name == "pypy"


@guests.each
def test_each_guest_starts_and_its_extension_modules_load(python):
    result = children.run(
        """
        import sys
        import pybridge
        pybridge.start()
        from pybridge import _runtime
        guest = pybridge.import_module("sys")
        print(".".join(map(str, guest.version_info[:3])))
        for name in ("ssl", "sqlite3", "ctypes", "decimal", "datetime", "_socket", "lzma",
                     "bz2", "_elementtree", "pyexpat", "hashlib", "array", "mmap", "_json",
                     "_pickle", "unicodedata", "zlib", "select",
                     "multiprocessing.shared_memory"):
            try:
                pybridge.import_module(name)
            except ModuleNotFoundError as error:
                print("absent:", error.name, file=sys.stderr)     # built without it
        pybridge.exec('''
        import sqlite3, decimal, ctypes, datetime, _socket, ssl
        assert sqlite3.connect(":memory:").execute("select 1 + 1").fetchone() == (2,)
        assert decimal.Decimal("1.1") + 1 == decimal.Decimal("2.1")
        assert ctypes.CDLL(None).abs(-3) == 3
        assert ctypes.pythonapi.Py_GetVersion
        assert datetime.datetime(2020, 1, 1).isoformat() == "2020-01-01T00:00:00"
        a, b = __import__("socket").socketpair()
        a.send(b"x")
        assert b.recv(1) == b"x"
        ssl.create_default_context()
        ''')
        from pybridge._core import ffi, lib
        symbols = ffi.new("pb_symbols *")
        lib.pb_symbols_read(symbols)
        print(symbols.enabled, symbols.selftest)
        """,
        env=guests.env(python),
    )
    answer = subprocess.run(
        [python, "-I", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert result.out == answer.stdout + "1 1\n"


@guests.each
def test_the_guest_is_configured_for_itself(python):
    """Also under LC_ALL=C, and with the host's variables set."""
    result = children.run(
        """
        import json, os, sys
        import pybridge
        pybridge.exec('''
        import json, sys, os, locale
        answer = json.dumps({
            "executable": sys.executable, "prefix": sys.prefix, "argv": sys.argv,
            "utf8": sys.flags.utf8_mode, "fs": sys.getfilesystemencoding(),
            "out": sys.stdout.encoding, "ignore": sys.flags.ignore_environment,
            "base": sys.base_prefix,
            "path": [p for p in sys.path if "nowhere" in p or p in ("", os.getcwd())],
            "main": __name__, "inspect": sys.flags.inspect, "optimize": sys.flags.optimize,
            "child": __import__("subprocess").run(
                [sys.executable, "-I", "-c", "import sys; print(sys.prefix)"],
                capture_output=True, text=True).stdout.strip()})
        ''', ns := {})
        print(ns["answer"])
        """,
        "an argument",
        "ünï",
        env=guests.env(
            python,
            LC_ALL="C",
            PYTHONHOME=None if not PYPY else "/nowhere/home",
            PYTHONPATH="/nowhere/path::",
            PYTHONSTARTUP="/nowhere/startup",
            PYTHONINSPECT=None,
            PYTHONOPTIMIZE=None,
            PYTHONWARNINGS="ignore",
            PYTHONUTF8=None,
        ),
    )
    facts = json.loads(result.out)
    expected = json.loads(
        subprocess.run(
            [
                python,
                "-I",
                "-c",
                "import json, sys\n"
                "print(json.dumps([sys.executable, sys.prefix, sys.base_prefix]))",
            ],
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        ).stdout
    )
    assert [facts["executable"], facts["prefix"], facts["base"]] == expected
    assert facts["child"] == facts["prefix"]
    assert facts["argv"][1:] == ["an argument", "ünï"]
    assert facts["argv"][0].endswith("snippet.py")
    assert facts["utf8"] == 1 and facts["fs"] == facts["out"] == "utf-8"
    assert facts["ignore"] == 1 and facts["inspect"] == 0
    assert facts["path"] == []
    assert facts["main"] == "__main__"


def test_starting_twice_is_silent_and_another_guest_is_refused(tmp_path):
    others = [p for p in guests.FOUND.values() if p != os.environ.get("PYBRIDGE_PYTHON")]
    mine = os.environ.get("PYBRIDGE_PYTHON") or next(iter(guests.FOUND.values()))
    twin = tmp_path / "twin"
    subprocess.run([mine, "-m", "venv", "--without-pip", str(twin)], check=True, timeout=60)
    result = children.run(
        """
        import sys
        import pybridge
        mine, *others = sys.argv[1:]
        pybridge.start(mine)
        pybridge.start()
        pybridge.start(mine)
        for other in others:
            try:
                pybridge.start(other)
                print("started", other)
            except pybridge.StartError as error:
                assert "runs already" in str(error), error
                print("refused")
        assert pybridge.eval("1 + 1") == 2
        """,
        mine,
        str(twin),
        *others[:1],
    )
    assert result.out == "refused\n" * (1 + len(others[:1]))


def test_a_start_on_a_worker_thread_is_refused_with_the_remedy():
    children.run(
        """
        import threading
        import pybridge
        errors = []
        def work():
            try:
                pybridge.eval("1")
            except pybridge.StartError as error:
                errors.append(str(error))
        t = threading.Thread(target=work); t.start(); t.join()
        assert len(errors) == 1
        assert "main thread" in errors[0] and "pybridge.start()" in errors[0]
        pybridge.start()
        t = threading.Thread(target=work); t.start(); t.join()
        assert len(errors) == 1
        """
    )


def test_threads_that_come_while_the_main_thread_starts_wait_for_it():
    for _ in range(5):
        children.run(
            """
            import threading
            import pybridge
            from pybridge import _discover, _runtime
            found = threading.Event()
            discover = _discover.discover
            def slowly(*args):
                found.set()                      # the worker comes while the state is still new
                answer = discover(*args)
                return answer
            _discover.discover = slowly
            answers = []
            def work():
                found.wait()
                try:
                    pybridge.start()
                    answers.append(pybridge.eval("6 * 7"))
                except BaseException as error:
                    answers.append(repr(error))
            ts = [threading.Thread(target=work) for _ in range(4)]
            for t in ts: t.start()
            pybridge.start()
            for t in ts: t.join()
            assert answers == [42] * 4, answers
            """
        )


def test_a_start_inside_a_start_is_refused():
    children.run(
        """
        import pybridge
        from pybridge import _discover
        discover = _discover.discover
        def again(*args):
            try:
                pybridge.start()
            except pybridge.StartError as error:
                print(error)
            return discover(*args)
        _discover.discover = again
        pybridge.start()
        assert pybridge.eval("1 + 1") == 2
        """
    ).out.startswith("the guest is being started by this very thread")


def test_after_a_refused_interpreter_another_may_be_started(tmp_path):
    mine = os.environ.get("PYBRIDGE_PYTHON") or next(iter(guests.FOUND.values()))
    children.run(
        """
        import sys
        import pybridge
        for bad in (sys.argv[1] + "/none", sys.argv[1]):
            try:
                pybridge.start(bad)
                raise AssertionError
            except pybridge.GuestNotFound as error:
                assert bad in str(error)
        pybridge.start(sys.argv[2])
        """,
        str(tmp_path),
        mine,
    )


def test_after_a_failure_inside_the_guest_every_use_says_so(tmp_path):
    """The guest's half of the bridge does not load."""
    result = children.run(
        """
        import sys
        import pybridge
        from pybridge import _guest
        _guest.SUPPORT = "/nowhere/support.py"
        for f in (pybridge.start, pybridge.start, lambda: pybridge.eval("1")):
            try:
                f()
                print("no error")
            except Exception as error:
                print(type(error).__name__, "begin a new one" in str(error))
        """
    )
    assert result.out.splitlines()[1:] == ["StartError True"] * 2
    assert "no error" not in result.out


def venv_with(tmp_path: Path, python: str, sitecustomize: str) -> str:
    subprocess.run(
        [python, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=60
    )
    (site,) = (tmp_path / "venv").glob("lib/python3*/site-packages")
    (site / "sitecustomize.py").write_text(sitecustomize)
    return str(tmp_path / "venv" / "bin" / "python")


@guests.few
def test_a_noisy_sitecustomize_of_the_guest_does_no_harm(python, tmp_path):
    guest = venv_with(
        tmp_path,
        python,
        "import sys, signal, threading, atexit\n"
        "print('{\"noise\": 1}'); print('noise', file=sys.stderr)\n"
        "signal.signal(signal.SIGINT, lambda *a: print('mine'))\n"
        "threading.Thread(target=print, args=('thread',), daemon=True).start()\n"
        "sys.setrecursionlimit(500)\n"
        "raise ValueError('hostile')\n",
    )
    result = children.run(
        """
        import signal
        import pybridge
        print(pybridge.eval("6 * 7"), signal.getsignal(signal.SIGINT).__name__)
        """,
        env=guests.env(guest),
    )
    assert result.out.splitlines()[-1] == "42 default_int_handler"


def test_a_sitecustomize_that_ends_the_guest_is_an_error_not_an_exit(tmp_path):
    """It exits only in this process: the probe has seen nothing."""
    mine = os.environ.get("PYBRIDGE_PYTHON") or next(iter(guests.FOUND.values()))
    guest = venv_with(
        tmp_path,
        mine,
        "import os, sys\nif 'PYBRIDGE_TEST_EXIT' in os.environ: sys.exit('told to go')\n",
    )
    result = children.run(
        """
        import os, signal, time
        import pybridge
        os.environ["PYBRIDGE_TEST_EXIT"] = "1"
        for _ in range(2):
            try:
                pybridge.start()
                print("no error")
            except (pybridge.StartError, pybridge.GuestNotFound) as error:
                print(type(error).__name__)
        try:                                     # signals are the host's
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            print("interrupted")
        """,
        env=guests.env(guest),
    )
    assert result.out.splitlines()[-1] == "interrupted"
    assert "no error" not in result.out


def test_importing_pybridge_starts_nothing_and_is_cheap(capsys):
    root = str(Path(pybridge.__file__).parents[1])
    code = (
        "import sys, time\n"
        f"sys.path.insert(0, {root!r})\n"
        "before = time.perf_counter()\n"
        "import pybridge\n"
        "took = time.perf_counter() - before\n"
        "import threading\n"
        "maps = open('/proc/self/maps').read()\n"
        "import os\n"
        "print(took, 'libpython3' in maps, len(os.listdir('/proc/self/task')))\n"
    )
    times = []
    for _ in range(5):
        answer = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        ).stdout.split()
        times.append(float(answer[0]))
        assert answer[2] == "1"
        if PYPY:
            assert answer[1] == "False"
    with capsys.disabled():
        print(f"\n  import pybridge: {min(times) * 1000:.1f} ms", end="")
    assert min(times) < 0.2  # far above what it should be: 30 ms on an idle machine


@pytest.mark.skipif(not guests.FOUND, reason="no guest")
def test_running_says_running():
    children.run(
        """
        import pybridge
        from pybridge import _runtime
        assert _runtime.state == _runtime.NEW
        pybridge.start()
        assert _runtime.state == _runtime.RUNNING
        assert _runtime.guest.version[:2] >= (3, 9)
        """
    )


@pytest.mark.skipif(sys.implementation.name != "pypy", reason="others have it from the start")
def test_a_start_does_without_the_threading_module(guest):
    """It costs PyPy 15 ms and more."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, pybridge; pybridge.start(); print(*sys.modules)"],
        stdout=subprocess.PIPE, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "threading" not in done.stdout.split()
