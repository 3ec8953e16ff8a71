# SPDX-License-Identifier: MIT
"""`python -m pybridge run`: a program does what it does in a plain run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile

import children
import pytest

from pybridge import _script

FACTS = """
import sys, __main__
print(sorted(globals()), __name__, __file__, sys.argv, sys.path[0], __package__, __doc__)
print(__spec__ and (__spec__.name, __spec__.origin), type(__loader__).__name__, __builtins__)
print(__annotations__, __main__.__dict__ is globals())
"""
FILES = {
    "program.py": FACTS,
    "folder/__main__.py": FACTS,
    "real/target.py": "import sys\nprint(sys.path[0], __file__)\n",
    "beside.py": "value = 'beside'\n",
    "imports.py": "import beside, __main__\nprint(__main__.beside is beside)\n",
    "error.py": "def f():\n    return 1 / 0\n\nf()\n",
    "syntax.py": "x = 1\ny = (\n",
    "status.py": "import sys, atexit\natexit.register(print, 'bye')\nsys.exit(7)\n",
    "text.py": "import sys\nsys.exit('sorry')\n",
    "interrupted.py": "import atexit, os, time\natexit.register(print, 'bye')\n"
    "os.kill(os.getpid(), 2)\ntime.sleep(5)\n",
    "hook.py": "import sys\nsys.excepthook = lambda *a: print('mine', a[0].__name__)\n1/0\n",
    "threads.py": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()\n",
    "crlf.py": "print(1)\r\nprint('a',\r\n  'b')\r\n",
    "empty.py": "",
}
HOWS = [
    "program.py a --b",
    *(["./folder/../program.py"] if sys.implementation.name == "pypy" else []),  # normalised
    "-m program a",
    "-mprogram",
    "-m folder a",
    "folder a",
    "archive.zip",
    "imports.py",
    "link.py",
    "error.py",
    "-m error",
    "syntax.py",
    "status.py",
    "text.py",
    "interrupted.py",
    "hook.py",
    "threads.py",
    "bytes.py",
    "crlf.py",
    "empty.py",
]
TEXTS = {
    "facts": FACTS.replace("__file__", "0").replace("type(__loader__).__name__", "0"),
    "error": "def f():\n  1/0\nf()",
    "syntax": "x = (",
    "exit": "raise SystemExit",
    "killed": "import signal; signal.raise_signal(15)",
}


@pytest.fixture
def files(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "bytes.py").write_bytes(b"# coding: latin-1\nprint(ascii('\xe9'))\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "real" / "target.py")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", "import sys\nprint(sys.argv, sys.path[0], __file__)\n")
    return tmp_path


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, **options
    )  # fmt: skip


def both(*how, **options):
    """Status, output and errors of a plain run, and of one by pybridge."""
    plain = python(*how, **options)
    bridged = python("-m", "pybridge", "run", *how, **options)
    # A CPython's traceback begins with the frames that ran the program.
    errors = sys.implementation.name == "pypy" or "<module>" not in plain.stderr
    return [(run.returncode, run.stdout, errors and run.stderr) for run in (plain, bridged)]


@pytest.mark.parametrize("how", HOWS)
def test_a_program_sees_and_does_what_it_does_in_a_plain_run(files, how):
    plain, bridged = both(*how.split(), cwd=files)
    assert bridged == plain


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_so_does_a_program_on_the_command_line(files, text):
    plain, bridged = both("-c", text, "x", cwd=files)
    assert bridged == plain


def test_so_does_a_program_on_standard_input(files):
    text = "import sys; print(sys.argv, __name__, sys.path[0])"
    plain, bridged = both("-", "x", cwd=files, input=text)
    assert bridged == plain


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_guest_code_as_it_ends_a_plain_run(tmp_path, number):
    (tmp_path / "program.py").write_text(
        "import atexit, pybridge\natexit.register(print, 'bye', flush=True)\n"
        "pybridge.exec('print(\"begun\", flush=True)\\nwhile True: pass')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-m", "pybridge", "run", "program.py"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout.readline() == "begun\n"
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()
    if number == signal.SIGINT:
        # PyPy 3.9 does not run atexit functions then, in a plain run neither.
        assert out == ("" if sys.implementation.name == "pypy" else "bye\n")
        assert child.returncode == -signal.SIGINT
        assert err.count("KeyboardInterrupt") == 1 and err.startswith("Traceback")
    else:
        assert (child.returncode, out, err) == (-number, "", "")


@pytest.mark.parametrize(
    "text", ["print(i)", "pybridge.eval('print')(i)"], ids=["host", "guest"]
)
def test_a_reader_that_goes_away_ends_a_program_as_in_a_plain_run(tmp_path, text):
    program = tmp_path / "program.py"
    program.write_text(f"import pybridge\nfor i in range(10**6): {text}\n")
    ends = []
    for command in ([str(program)], ["-m", "pybridge", "run", str(program)]):
        child = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert child.stdout.readline() == b"0\n"
        child.stdout.close()
        err = child.stderr.read()
        child.stderr.close()
        ends.append((child.wait(30), b"BrokenPipeError" in err))
    assert ends[0] == ends[1]


def test_packages_are_chosen_by_option_and_by_the_table_beside_the_script(tmp_path):
    guest, host = tmp_path / "guest", tmp_path / "host"
    for folder in (guest, host):
        folder.mkdir()
        (folder / "both.py").write_text(f"where = {folder.name!r}\n")
    (guest / "pure.py").write_text("import sys\nname = sys.implementation.name\n")
    (tmp_path / "program.py").write_text(
        f"import sys, pybridge\npybridge.import_module('sys').path.append({str(guest)!r})\n"
        f"sys.path.append({str(host)!r})\n"
        "import both, pure\nprint(both.where, pure.name)\n"
    )
    table = tmp_path / "pyproject.toml"
    name = sys.implementation.name

    def run(*options):
        found = python("-m", "pybridge", "run", *options, "program.py", cwd=tmp_path)
        assert found.returncode == 0, found.stderr
        return found.stdout

    assert run() == "host cpython\n"
    assert run("--guest", "both", "--host=pure") == f"guest {name}\n"
    table.write_text("[tool.pybridge]\nguest-packages = ['both']\nhost-packages = ['pure']\n")
    assert run() == f"guest {name}\n"
    assert run("--host", "both", "--guest", "pure") == "host cpython\n"
    table.write_text("[tool.pybridge]\nguest-packages = 'both'\n")
    found = python("-m", "pybridge", "run", "program.py", cwd=tmp_path)
    assert found.returncode == 2 and "guest-packages = 'both' is not valid" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_module_that_the_guest_has_runs_in_the_guest(tmp_path):
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "__init__.py").write_text("")
    (tmp_path / "tool" / "__main__.py").write_text(
        "import sys\nprint('tool', __name__, sys.argv[1:], sys.implementation.name)\n"
        "sys.exit(3)\n"
    )
    text = f"""
        import sys, pybridge
        from pybridge import _script
        pybridge.import_module("sys").path.append({str(tmp_path)!r})
        sys.exit(_script.run(["-m", "tool", "x", "-y"]))
    """
    assert children.run(text, rc=3).out == "tool __main__ ['x', '-y'] cpython\n"


def test_a_module_that_is_nowhere_is_reported_with_both_places():
    found = python("-m", "pybridge", "run", "-c", "import nothing_of_the_kind")
    assert found.returncode == 1
    assert "No module named 'nothing_of_the_kind'" in found.stderr
    assert "searched by the host: " in found.stderr and "and by the guest " in found.stderr
    assert found.stderr.splitlines()[-1].endswith("-m pybridge install nothing_of_the_kind")


def test_an_argument_that_is_no_text_arrives_on_both_sides(tmp_path):
    (tmp_path / "program.py").write_text(
        "import os, sys, pybridge\n"
        "print(os.fsencode(sys.argv[1]))\n"
        'print(pybridge.eval(\'__import__("os").fsencode(__import__("sys").argv[1])\'))\n'
    )
    command = [sys.executable, "-m", "pybridge", "run", "program.py", b"\xff\xfe.txt"]
    out = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, check=True).stdout
    assert out == b"b'\\xff\\xfe.txt'\n" * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "usage:"),
        ("-m", "usage:"),
        ("-c", "usage:"),
        ("--nonsense", "usage:"),
        ("-x script.py", "usage:"),
        ("--host", "usage:"),
        ("--guest numpy", "usage:"),
        ("missing.py", "can't open 'missing.py'"),
        ("real", "can't find '__main__' module in 'real'"),
        ("--host x --guest x program.py", "named for the guest and for the host"),
    ],
)
def test_what_cannot_be_begun_is_said_in_one_line(files, arguments, message):
    found = python("-m", "pybridge", "run", *arguments.split(), cwd=files)
    assert found.returncode == 2 and message in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_help_is_no_error():
    found = python("-m", "pybridge", "run", "--help")
    assert (found.returncode, found.stdout) == (0, _script.HELP)


def test_a_guest_that_cannot_be_used_is_one_error_with_one_cause(tmp_path):
    (tmp_path / "program.py").write_text("import no_such_package_here\n")
    env = {**os.environ, "PYBRIDGE_PYTHON": "/nonexistent/python"}
    done = subprocess.run(
        [sys.executable, "-m", "pybridge", "run", "program.py"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and lines[0].startswith("Traceback")
    assert sum(line.startswith("Traceback") for line in lines) == 1
    assert "/nonexistent/python" in lines[-1] and lines[-1].endswith("[PB101]")
