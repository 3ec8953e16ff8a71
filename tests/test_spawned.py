# SPDX-License-Identifier: MIT
"""Libraries that start processes: the host's multiprocessing and the guest's."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import children
import guests
import pytest

PROGRAM = """
import sys, multiprocessing, concurrent.futures
import pb_both, pb_guest

def work(i):
    return pb_guest.double(i), pb_guest.version, pb_both.where

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2) as pool:
        print(sorted(pool.map(work, range(3))) == sorted(map(work, range(3))))
    if sys.implementation.name != "pypy" or sys.argv[1] == "fork":  # else PyPy 3.9 raises
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            print(pool.submit(work, 4).result() == work(4))
    else:
        print(True)
    child = context.Process(target=work, args=(1,))
    child.start()
    child.join()
    print(child.exitcode, work(1)[2])
"""


@pytest.fixture
def program(tmp_path, guest):
    """A guest venv of its own, with a package; the host has one of the names as well."""
    subprocess.run(
        [guest.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True
    )
    (site,) = (tmp_path / "venv" / "lib").glob("python3*/site-packages")
    (site / "pb_guest.py").write_text("from sys import version\ndef double(x): return 2 * x\n")
    (site / "pb_both.py").write_text("where = 'guest'\n")
    (tmp_path / "pb_both.py").write_text("where = 'host'\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pybridge]\npython = 'venv'\nguest-packages = ['pb_both']\n"
    )
    return tmp_path


def run(program, *arguments, monkeypatch):
    monkeypatch.delenv("PYBRIDGE_PYTHON", raising=False)
    done = subprocess.run(
        [sys.executable, "-m", "pybridge", "run", *arguments], cwd=program, timeout=60,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@guests.once
@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_children_of_the_host_have_the_guests_packages(program, how, monkeypatch):
    expected = "True\nTrue\n0 guest\n"
    assert run(program, "program.py", how, monkeypatch=monkeypatch) == expected
    if how == "spawn":
        assert run(program, "-m", "program", how, monkeypatch=monkeypatch) == expected


@guests.few
def test_guest_code_starts_processes_of_the_guests_python(python):
    text = """
        import pybridge
        pybridge.exec('''
        import concurrent.futures, math, multiprocessing, subprocess, sys, warnings
        warnings.simplefilter("ignore")  # of forks with threads
        for how in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(how)
            with context.Pool(2) as pool:
                print(how, pool.map(math.sqrt, [1, 4, 9]))
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                print(pool.submit(math.sqrt, 4).result())
        code = "import sys; print(sys.implementation.name, sys.prefix)"
        out = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert out.stdout.split() == ["cpython", sys.prefix], out
        ''')
        """
    result = children.run(textwrap.dedent(text), env=guests.env(python), timeout=60)
    assert result.out.split("\n")[:-1] == [
        line for how in ("fork", "spawn", "forkserver")
        for line in (f"{how} [1.0, 2.0, 3.0]", "2.0")
    ]  # fmt: skip
    assert result.err == ""


def test_what_a_forked_child_of_the_guest_prints_is_seen(tmp_path):
    result = children.run(
        """
        import pybridge
        pybridge.exec('''
        import multiprocessing, warnings
        warnings.simplefilter("ignore")
        def hello(i): print("hello", i)
        children = [
            multiprocessing.get_context("fork").Process(target=hello, args=(i,))
            for i in range(3)
        ]
        for child in children: child.start()
        for child in children: child.join()
        print([child.exitcode for child in children])
        ''')
        """
    )
    lines = result.out.splitlines()
    assert sorted(lines[:-1]) == ["hello 0", "hello 1", "hello 2"] and lines[-1] == "[0, 0, 0]"


def test_processes_of_joblib_work_for_guest_functions():
    result = children.run(
        """
        import pybridge
        try:
            pybridge.import_module("joblib")
        except ImportError:
            print("none")
            raise SystemExit
        pybridge.exec('''
        import math
        from joblib import Parallel, delayed
        print(Parallel(n_jobs=2)(delayed(math.sqrt)(i) for i in (1, 4)))
        ''')
        """,
        timeout=60,
    )
    if result.out == "none\n":
        pytest.skip("no joblib in this guest")
    assert result.out == "[1.0, 2.0]\n"
