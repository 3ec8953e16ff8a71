# SPDX-License-Identifier: MIT
"""The command line: what is understood, what is printed, and the exit status."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from pybridge import _completion


def command(*arguments, rc=0, **options):
    done = subprocess.run(
        [sys.executable, "-m", "pybridge", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, **options,
    )  # fmt: skip
    assert done.returncode == rc, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("name", ["", *(c for c in _completion.COMMANDS if c != "python")])
def test_each_command_has_a_help_text(name):
    out = command(*name.split(), "--help").stdout
    assert out.startswith("usage: python -m pybridge") and len(out.splitlines()) > 4
    for option in _completion.OPTIONS.get(name, ()):
        assert re.search(rf"[\s,{{\[|]{re.escape(option)}\b", out) or option == "--help", option


@pytest.mark.parametrize(
    "arguments",
    ["", "nonsense", "install", "stubs", "completion", "completion tcsh", "repl --nonsense"],
)
def test_what_is_not_understood_is_status_2_and_says_usage(arguments):
    done = command(*arguments.split(), rc=2)
    assert "usage: python -m pybridge" in done.stderr and done.stdout == ""


def test_a_script_needs_no_command(tmp_path):
    (tmp_path / "program.py").write_text("import sys; print(sys.argv); sys.exit(9)\n")
    done = command("program.py", "--help", "-x", cwd=tmp_path, rc=9)
    assert done.stdout == "['program.py', '--help', '-x']\n"
    assert command("-c", "print(1)").stdout == "1\n"
    assert "can't open 'missing.py'" in command("missing.py", cwd=tmp_path, rc=2).stderr


def test_the_guests_own_interpreter_is_run(guest):
    out = command(
        "python", "-c", "import sys; print(sys.executable, sys.argv[1:])", "-x"
    ).stdout
    assert out == f"{guest.executable} ['-x']\n"
    command("python", "-c", "raise SystemExit(5)", rc=5)
    command("python", "-c", "import os; os.kill(os.getpid(), 15)", rc=-signal.SIGTERM)


@pytest.mark.parametrize("name", ["python", "repl", "stubs math", "install x"])
def test_a_guest_that_cannot_be_had_is_one_line_and_status_1(name):
    env = {**os.environ, "PYBRIDGE_PYTHON": "/nonexistent/python"}
    done = command(*name.split(), rc=1, env=env)
    assert done.stderr.startswith("python -m pybridge: PYBRIDGE_PYTHON: /nonexistent/python")
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""


def test_a_module_that_is_not_there_gets_no_stubs(tmp_path):
    done = command("stubs", "no_such_module", cwd=tmp_path, rc=1)
    assert "No module named 'no_such_module'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_stubs_are_written_below_the_folder(tmp_path):
    done = command("stubs", "--json", "-o", "out", "math", "json", cwd=tmp_path)
    written = json.loads(done.stdout)
    assert "out/math.pyi" in written and "out/json/decoder.pyi" in written
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.pyi")) == sorted(
        written
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_code_names_all_commands(shell):
    out = command("completion", shell).stdout
    for name in _completion.COMMANDS:
        assert name in out


def test_bash_completes_commands_and_options():
    script = (
        'eval "$1"; COMP_WORDS=(pybridge in); COMP_CWORD=1; _pybridge; echo "${COMPREPLY[@]}"; '
        'COMP_WORDS=(pybridge doctor --j); COMP_CWORD=2; _pybridge; echo "${COMPREPLY[@]}"'
    )
    code = command("completion", "bash").stdout
    done = subprocess.run(
        ["bash", "-c", script, "bash", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("install\n--json\n", "")


def test_a_run_loads_little_more_than_the_bridge(tmp_path):
    """Start-up: of these each costs from 5 to 40 ms on PyPy."""
    text = (
        "import sys; print(sorted({'typing', 'argparse', 'subprocess', 'json', 'threading', "
        "'dataclasses', 'inspect', 'zipfile', 'tempfile', 'logging'} & set(sys.modules)))"
    )
    (tmp_path / "program.py").write_text(text)
    plain = subprocess.run(
        [sys.executable, "-m", "program"], cwd=tmp_path, capture_output=True, text=True
    )
    assert command("run", "program.py", cwd=tmp_path).stdout == plain.stdout != ""
