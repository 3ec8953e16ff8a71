# SPDX-License-Identifier: MIT
"""Snippets run in a fresh host process, for whatever starts, exits, forks, signals or crashes.

    result = children.run('''
        import pybridge
        print(pybridge.eval("1 + 1"))
    ''')
    assert result.out == "2\n"

`run` waits for the end and fails the test, with everything that the child wrote, when it
ends with another status than expected: a death by signal is named (`killed by SIGSEGV`).
`rc=None` accepts any end, for tests that look at `result.rc` (negative: a signal) themselves.

    with children.start(snippet) as child:      # to talk to it while it runs
        child.expect("ready")                   # the snippet did print("ready", flush=True)
        child.send(signal.SIGINT)
        result = child.finish()

A child that takes too long is asked for its stacks: the host's of all threads and, if the
guest runs, the guest's of all threads.  Then it is killed with its own children, and the
test fails with these stacks.  Asking works by two real-time signals that both halves'
faulthandler is registered for, so a snippet is otherwise undisturbed; `stacks=False` leaves
even that out, for tests that compare signal handlers or count handles.

Output goes to files, not pipes: a forked grandchild that lives on cannot make a test wait.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

HOST_STACKS = signal.SIGRTMIN + 10
GUEST_STACKS = signal.SIGRTMIN + 11
_MOST_TEXT = 12000

# First line of every snippet imports this, from the snippet's own directory.  The guest
# registers its faulthandler as soon as it has started.
_PRELUDE = f"""
import faulthandler, sys
faulthandler.enable(file=2)
faulthandler.register({int(HOST_STACKS)}, file=2, all_threads=True)
from pybridge import _guest, _runtime

def _start(python, start=_runtime._start):
    start(python)
    register = _guest.get_attribute(_guest.import_guest("faulthandler"), "register")
    _guest.call_guest(register, {int(GUEST_STACKS)}, file=2, all_threads=True)

_runtime._start = _start
"""


class Result(NamedTuple):
    """How a child ended.  `rc`: its exit status, or minus the signal that killed it."""

    rc: int
    out: str
    err: str
    seconds: float

    def ended(self) -> str:
        """The end in words."""
        if self.rc >= 0:
            return f"exit status {self.rc}"
        try:
            return f"killed by {signal.Signals(-self.rc).name}"
        except ValueError:
            return f"killed by signal {-self.rc}"

    def text(self) -> str:
        """Everything known, for a failure report."""
        return (
            f"child: {self.ended()} after {self.seconds:.1f} s\n"
            f"--- its stdout\n{_shorten(self.out)}\n--- its stderr\n{_shorten(self.err)}"
        )


def _shorten(text: str) -> str:
    if len(text) <= _MOST_TEXT:
        return text
    half = _MOST_TEXT // 2
    return f"{text[:half]}\n[... {len(text) - _MOST_TEXT} characters ...]\n{text[-half:]}"


class Child:
    """A child that runs.  Use it as a context manager: leaving kills what is left of it."""

    def __init__(
        self,
        snippet: str,
        *arguments: str,
        timeout: float = 30,
        env: dict[str, str | None] | None = None,
        python: str = sys.executable,
        options: tuple[str, ...] = (),
        cwd: str | os.PathLike[str] | None = None,
        stacks: bool = True,
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="pybridge-child-")
        directory = Path(self._directory.name)
        source = textwrap.dedent(snippet)
        if stacks:
            (directory / "_child_prelude.py").write_text(_PRELUDE)
            source = "import _child_prelude\n" + source
        script = directory / "snippet.py"
        script.write_text(source, encoding="utf-8")
        environment = dict(os.environ)
        for name, value in (env or {}).items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        self._out = open(directory / "out", "ab")
        self._err = open(directory / "err", "ab")
        self._stacks = stacks
        self._started = time.monotonic()
        self._deadline = self._started + timeout
        self.timeout = timeout
        self.process = subprocess.Popen(
            [python, *options, str(script), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exc: object) -> None:
        self._kill()
        self._out.close()
        self._err.close()
        self._directory.cleanup()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return self._read(self._out)

    @property
    def err(self) -> str:
        return self._read(self._err)

    def _read(self, file: object) -> str:
        # By path: the descriptor is shared with the child, and so is its position.
        with open(file.name, "rb") as copy:  # type: ignore[attr-defined]
            return copy.read().decode("utf-8", "backslashreplace")

    def send(self, number: int) -> None:
        """Send a signal to the child alone."""
        os.kill(self.process.pid, number)

    def expect(self, text: str, where: str = "out") -> None:
        """Wait until it has written `text`; fail if it ends, or takes too long, before."""
        while text not in getattr(self, where):
            if self.process.poll() is not None and text not in getattr(self, where):
                raise AssertionError(f"ended without {text!r}; {self._result().text()}")
            if time.monotonic() > self._deadline:
                self._too_long(f"{text!r} did not come")
            time.sleep(0.005)

    def finish(self, rc: int | None = 0) -> Result:
        """Wait for the end; fail if its status is not `rc` (None: any), or takes too long."""
        try:
            self.process.wait(max(0.1, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._too_long("did not end")
        result = self._result()
        if rc is not None and result.rc != rc:
            raise AssertionError(f"{result.ended()} instead of {rc}; {result.text()}")
        return result

    def _result(self) -> Result:
        seconds = time.monotonic() - self._started
        return Result(self.process.returncode or 0, self.out, self.err, seconds)

    def _too_long(self, what: str) -> None:
        if self._stacks:
            for number, whose in ((HOST_STACKS, "host"), (GUEST_STACKS, "guest")):
                if not _catches(self.process.pid, number):
                    continue  # too early: the signal would kill it
                with open(self._err.name, "ab") as err:
                    err.write(f"\n--- stacks of the {whose}\n".encode())
                self.send(number)
                time.sleep(0.3)
        self._kill()
        raise AssertionError(f"{what} within {self.timeout} s; {self._result().text()}")

    def _kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # the session it leads
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait()


def _catches(pid: int, number: int) -> bool:
    """Has the process a handler for this signal?"""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    for line in status.splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def start(snippet: str, *arguments: str, **options: object) -> Child:
    """Begin to run a snippet.  `arguments`: its sys.argv[1:]; the options: see `run`."""
    return Child(snippet, *arguments, **options)  # type: ignore[arg-type]


# Guest code: objects that are counted.
COUNTED = """
alive = 0

class Counted:
    def __init__(self):
        global alive
        alive += 1
    def __del__(self):
        global alive
        alive -= 1

def counted():
    return alive
"""


def run(snippet: str, *arguments: str, rc: int | None = 0, **options: object) -> Result:
    """Run a snippet to its end.

    `rc`: the exit status it must have, -N for signal N, None for any.  Options: `timeout`
    (30 s), `env` (changes to the environment; None removes a variable), `python` (another
    host), `options` (for the interpreter, before the script), `cwd`, `stacks`.
    """
    with start(snippet, *arguments, **options) as child:
        return child.finish(rc)
