# SPDX-License-Identifier: MIT
"""`python -m pybridge repl`: two prompts side by side."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

import pytest


def session(lines: str, rc: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-m", "pybridge", "repl"], input=lines, text=True,
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == rc, done.stdout + done.stderr
    return done


def answers(lines: str) -> list[str]:
    """What is printed, without the prompts."""
    out = session(lines).stdout
    for prompt in ("guest>>> ", "guest... ", ">>> ", "... "):
        out = out.replace(prompt, "")
    return out.split()


def test_lines_run_on_the_side_whose_prompt_it_is():
    assert answers(
        "import sys\nsys.implementation.name\n%guest\nimport sys\nsys.implementation.name\n"
        "%host\n__name__\n%guest __name__\n"
    ) == [repr(sys.implementation.name), "'cpython'", "'__main__'", "'__main__'"]


def test_each_side_reaches_the_others_names():
    assert answers(
        "%guest x = [1]\nguest.x.append(2)\n%guest x\nguest.y = 5\n%guest y + 1\n%host 7\n"
    ) == ["[1,", "2]", "6", "7"]


def test_statements_of_several_lines_and_errors_on_both_sides():
    done = session(
        "def f():\n    return 'host'\n\nf()\n%guest\ndef f():\n    return 'guest'\n\nf()\n1/0\n"
        "%host\n[][1]\nprint('on')\n"
    )
    assert "'host'" in done.stdout and "'guest'" in done.stdout and "on" in done.stdout
    assert "ZeroDivisionError" in done.stderr and "IndexError" in done.stderr
    assert "pybridge/" not in done.stderr


def test_the_end_of_the_guests_prompt_leads_back_and_exit_leaves():
    assert answers("%guest\nexit()\nimport sys; sys.implementation.name\n") == [
        repr(sys.implementation.name)
    ]
    session("import sys\nsys.exit(4)\nprint('never')\n", rc=4)
    assert "switch sides" in session("%help\n").stderr


def test_a_terminal_has_interrupts_and_completion(tmp_path):
    """Typed as a person does: a step begins when the prompt is there."""
    if sys.implementation.name == "cpython":
        pytest.importorskip("readline")
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.environ.update(TERM="xterm", XDG_DATA_HOME=str(tmp_path), LC_ALL="C.UTF-8")
            os.execv(sys.executable, [sys.executable, "-m", "pybridge", "repl"])
        finally:
            os._exit(127)
    seen = b""

    def expect(text: bytes) -> None:
        nonlocal seen
        deadline = time.monotonic() + 30
        while text not in seen:
            assert time.monotonic() < deadline, (text, seen)
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 4096)
        seen = seen.partition(text)[2]

    try:
        expect(b">>> ")
        os.write(terminal, b"%guest\r")
        expect(b"guest>>> ")
        os.write(terminal, b"import time; print('begun'); time.sleep(200)\r")
        expect(b"begun\r\n")
        os.write(terminal, b"\x03")
        expect(b"KeyboardInterrupt")
        expect(b"guest>>> ")
        os.write(terminal, b"spam_and_eggs = 42\r")
        expect(b"guest>>> ")
        os.write(terminal, b"spam_and\t + 1\r")
        expect(b"43\r\n")
        expect(b"guest>>> ")
        os.write(terminal, b"%host\r")
        expect(b">>> ")
        os.write(terminal, b"raise SystemExit(0)\r")
        status = os.waitpid(pid, 0)[1]
    except BaseException:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)
    assert status == 0
    assert "spam_and_eggs" in (tmp_path / "pybridge" / "history").read_text()
