# SPDX-License-Identifier: MIT
"""What guest code prints and reads goes through the host's streams."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import select
import subprocess
import sys
import textwrap

import children
import guests
import pytest

import pybridge


def test_a_replaced_stream_gets_the_guests_output_too():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print("host 1")
        pybridge.exec("print('guest', 2)")
        print("host 3")
        pybridge.exec("print('guest', 4, end='', flush=True)")
    assert out.getvalue() == "host 1\nguest 2\nhost 3\nguest 4"
    with contextlib.redirect_stderr(io.StringIO()) as err:
        pybridge.exec("import sys, warnings; print('x', file=sys.stderr)")
        pybridge.exec("import logging; logging.warning('careful')")
    assert err.getvalue() == "x\nWARNING:root:careful\n"


def test_pytest_captures_it(capsys):
    pybridge.exec("import sys; print('to out'); print('to err', file=sys.stderr)")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("to out\n", "to err\n")


def test_text_of_any_kind_arrives_whole(capsys):
    text = "ü€😀\0\x1b[0m" * 3000
    pybridge.eval("print")(text)
    assert capsys.readouterr().out == text + "\n"


def test_what_is_written_must_be_text():
    with pytest.raises(TypeError):
        pybridge.exec("import sys; sys.stdout.write(3)")
    with pytest.raises(TypeError):
        pybridge.exec("import sys; sys.__stdout__.buffer.write('text')")


def test_output_captured_by_the_guest_stays_there(capsys):
    pybridge.exec(
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()) as f: print('in the guest')\n"
        "assert f.getvalue() == 'in the guest\\n'"
    )
    assert capsys.readouterr().out == ""


def test_input_comes_from_a_replaced_stream(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\nthree\nfour\n"))
    assert pybridge.eval("input('? ')") == "one"
    assert capsys.readouterr().out == "? "
    assert pybridge.eval("__import__('sys').stdin.readline()") == "two\n"
    assert tuple(pybridge.eval("list(__import__('sys').stdin)")) == ("three\n", "four\n")
    with pytest.raises(EOFError):
        pybridge.eval("input()")


def test_a_stream_without_a_descriptor_says_so(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    asked = "(lambda s: (s.isatty(), s.encoding, s.writable(), hasattr(s, 'buffer')))"
    assert pybridge.eval(asked + "(__import__('sys').stdout)") == (False, None, True, False)
    with pytest.raises((OSError, ValueError)):
        pybridge.eval("__import__('sys').stdout.fileno()")


def test_an_error_of_the_stream_is_the_programs(monkeypatch):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(BrokenPipeError):
        pybridge.exec("print('x')")
    monkeypatch.setattr(sys, "stdout", None)
    pybridge.exec("print('nowhere')")


def test_threads_of_the_guest_print(capsys):
    pybridge.exec(
        "import threading\n"
        "threads = [threading.Thread(target=print, args=(f'line {i}',)) for i in range(8)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
    )
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == [f"line {i}" for i in range(8)]


def test_print_is_the_builtin_one_in_all_it_does(capsys):
    program = """
        import inspect, io, pickle, sys
        assert pickle.loads(pickle.dumps(print)) is print
        assert [*inspect.signature(print).parameters] == ["args", "sep", "end", "file", "flush"]
        print(), print(None, 1, 2.5, "x", sep="-"), print("a", "b", sep=None, end=None)
        print("to a file", end="!", file=(file := io.StringIO()))
        assert file.getvalue() == "to a file!"
        print(*"abc", sep="", end="", flush=True)
        for wrong in (dict(sep=1), dict(end=b""), dict(other=1), dict(file=3)):
            try:
                print("x", **wrong)
            except (TypeError, AttributeError):
                pass
            else:
                raise AssertionError(wrong)
    """
    pybridge.exec(textwrap.dedent(program), {})
    assert capsys.readouterr().out == "\nNone-1-2.5-x\na b\nabc"


@guests.each
def test_facts_of_the_streams_are_those_of_the_hosts(python):
    result = children.run(
        """
        import sys, pybridge
        pybridge.exec('''
        import io, sys
        for s in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__):
            print(s.name, s.encoding, s.errors, s.mode, s.fileno(), s.isatty(), s.closed,
                  s.readable(), s.writable(), isinstance(s, io.TextIOBase))
        sys.stdout.flush()
        sys.stdout.buffer.write(b"bytes\\\\xff\\\\n")
        sys.stdout.buffer.flush()
        sys.stdout.writelines(["a\\\\n", "b\\\\n"])
        ''')
        for s in (sys.stdin, sys.stdout, sys.stderr, sys.__stdout__):
            print(s.name, s.encoding, s.errors, s.mode, s.fileno(), s.isatty(), s.closed,
                  s.readable(), s.writable(), True)
        """,
        env=guests.env(python),
    )
    lines = result.out.splitlines()
    assert lines[:4] == lines[7:]
    assert lines[4:7] == ["bytes\\xff", "a", "b"]


@guests.few
def test_children_that_are_forked_print_on_both_sides(python):
    result = children.run(
        """
        import os, sys, pybridge
        pybridge.exec('''
        import os, sys
        def fork_in_guest():
            pid = os.fork()
            if pid == 0:
                print("child of the guest", flush=True)
                os._exit(0)
            os.waitpid(pid, 0)
        ''', ns := {})
        ns["fork_in_guest"]()
        pid = os.fork()
        if pid == 0:
            pybridge.exec("import sys; print('child of the host', sys.stdout)")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)
        pybridge.exec("import sys; print('parent', sys.stdout)")
        """,
        env=guests.env(python),
    )
    assert result.out.splitlines() == [
        "child of the guest",
        "child of the host <stdout of the host>",
        "parent <stdout of the host>",
    ]


def test_threads_that_print_through_the_exit_do_no_harm():
    result = children.run(
        """
        import pybridge, time
        pybridge.exec('''
        import threading, atexit
        def chatter():
            while True: print(end=".")
        for _ in range(3): threading.Thread(target=chatter, daemon=True).start()
        atexit.register(lambda: print("the last line"))
        ''')
        time.sleep(0.3)
        """
    )
    assert "the last line" in result.out and result.err == ""


def test_the_guest_keeps_its_own_streams_when_told_so():
    result = children.run(
        """
        import io, sys, pybridge
        out, sys.stdout = sys.stdout, io.StringIO()
        pybridge.exec("import sys; print('direct', type(sys.stdout).__name__)")
        assert sys.stdout.getvalue() == ""
        """,
        env={"PYBRIDGE_HOST_STREAMS": "0"},
    )
    assert result.out == "direct TextIOWrapper\n"


def piped(snippet: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", "import pybridge\n" + snippet],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, **options,
    )  # fmt: skip


def test_a_closed_pipe_ends_the_program_as_in_a_plain_run():
    child = piped("pybridge.exec('while True: print(\"x\" * 1000)')")
    assert child.stdout.readline() == b"x" * 1000 + b"\n"
    child.stdout.close()
    err = child.stderr.read()
    child.stderr.close()
    child.stdin.close()
    assert child.wait(30) in (1, 120)
    assert b"BrokenPipeError" in err


def in_terminal(snippet: str, *answers: tuple[bytes, bytes]) -> bytes:
    """Run a snippet in a terminal; type the second of each pair when the first is seen."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.execv(sys.executable, [sys.executable, "-c", "import pybridge\n" + snippet])
        finally:
            os._exit(127)
    seen, waiting = b"", list(answers)
    try:
        while True:
            if not select.select([terminal], [], [], 30)[0]:
                raise AssertionError(f"nothing more came after {seen!r}")
            try:
                data = os.read(terminal, 4096)
            except OSError:
                data = b""
            if not data:
                break
            seen += data
            if waiting and waiting[0][0] in seen:
                os.write(terminal, waiting.pop(0)[1])
    finally:
        os.close(terminal)
        status = os.waitpid(pid, 0)[1]
    assert status == 0 and not waiting, seen.decode()
    return seen


def test_input_and_getpass_of_the_guest_work_in_a_terminal():
    seen = in_terminal(
        "pybridge.exec('''\n"
        "import sys, getpass\n"
        "print(sys.stdin.isatty(), sys.stdout.isatty())\n"
        "name = input('your name? ')\n"
        "secret = getpass.getpass('secret: ')\n"
        "print('hello', name, len(secret))\n"
        "''')\n"
        "print('host', input('and now? '))\n",
        (b"your name? ", "Zoë\n".encode()),
        (b"secret: ", b"abc\n"),
        (b"and now? ", b"done\n"),
    )
    text = seen.decode()
    assert "True True" in text and "hello Zoë 3" in text and "host done" in text
    assert "abc" not in text


def test_lines_come_out_one_by_one_in_a_terminal():
    """Not when the program ends: a guest that computes for long shows its progress."""
    seen = in_terminal(
        "pybridge.exec('''\n"
        "import sys\n"
        "print('progress')\n"
        "sys.stdin.readline()\n"
        "print('and end')\n"
        "''')\n",
        (b"progress", b"\n"),
    )
    assert b"and end" in seen
