# SPDX-License-Identifier: MIT
"""A child process that answers on a pipe of its own: start it, listen, end it.

For `_probe`, which says what it costs and why PyPy forks.  Only system calls; nothing else is
imported before there is a child.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False  # typing costs 20 ms at import
if TYPE_CHECKING:
    from typing import Callable

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "LD_LIBRARY_PATH")
_SIGKILL = 9  # POSIX; importing `signal` takes 4 ms on PyPy
_LONGEST_ANSWER = 1 << 16
_QUOTED = 4096  # bytes kept of what the child prints

meanwhile: list[Callable[[], object]] = []  # run once, while a child starts


def above_stdio(fd: int) -> int:
    """Move a descriptor above 2: the host may run with its standard ones closed."""
    low = []
    while fd < 3:
        low.append(fd)
        fd = os.dup(fd)
    for each in low:
        os.close(each)
    return fd


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def spawn(argv: list[str], answer: int, noise: int) -> int:
    """Start the child in a session of its own, and give its process id."""
    if sys.implementation.name == "pypy":
        return _spawn_fork(argv, _environment(), answer, noise)
    import subprocess

    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=noise,
        stderr=noise,
        env=_environment(),
        cwd="/",
        pass_fds=(answer,),
        start_new_session=True,
    )
    child.returncode = 0  # waited for by id, in `converse`: the object has no more to do
    return child.pid


def _spawn_fork(argv: list[str], env: dict[str, str], answer: int, noise: int) -> int:
    null = above_stdio(os.open(os.devnull, os.O_RDONLY))
    try:
        child = os.fork()
        if child == 0:
            try:
                os.setsid()
                os.chdir("/")
                os.dup2(null, 0)
                os.dup2(noise, 1)
                os.dup2(noise, 2)
                os.set_inheritable(answer, True)
                os.execve(argv[0], argv, env)
            except OSError as error:
                os.write(answer, b"errno %d\n" % (error.errno or 0))
            finally:
                os._exit(127)
    finally:
        os.close(null)
    return child


def converse(child: int, answer: int, noise: int, timeout: float) -> tuple[bytes, bytes, str]:
    """Give what the child answered, what it printed, and how it ended.

    The child is gone afterwards, also if this raises.  One that has answered is killed
    rather than waited for: a script around the interpreter may have more to do.
    """
    ending: str | None = None
    try:
        while meanwhile:
            meanwhile.pop()()
        deadline = time.monotonic() + timeout
        said, printed = _listen(answer, noise, deadline)
        if not said:
            ending = _ended(child, deadline)
            printed += _drained(noise)
    finally:
        if ending is None:
            _kill(child)
    return said, printed[:_QUOTED], ending or f"did not answer within {timeout:g} s"


def _listen(answer: int, noise: int, deadline: float) -> tuple[bytes, bytes]:
    """Read both pipes until the answer is complete, has ended, or the time is over."""
    from select import POLLIN, poll

    said, printed = b"", b""
    poller = poll()
    poller.register(answer, POLLIN)
    poller.register(noise, POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return b"", printed
        for fd, _ in poller.poll(int(left * 1000) + 1):
            chunk = os.read(fd, _LONGEST_ANSWER)
            if fd == noise:
                printed += chunk[: _QUOTED - len(printed)]
                if not chunk:
                    poller.unregister(noise)
            else:
                said += chunk
                if not chunk or said.endswith(b"\n") or len(said) > _LONGEST_ANSWER:
                    return said, printed


def _drained(noise: int) -> bytes:
    """Read what is left, but not to the end: a grandchild may hold the pipe open."""
    from select import POLLIN, poll

    poller = poll()
    poller.register(noise, POLLIN)
    return os.read(noise, _QUOTED) if poller.poll(0) else b""


def _ended(child: int, deadline: float) -> str | None:
    """Wait for the child and say how it ended; None when the time is over."""
    while True:
        try:
            pid, status = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:  # SIGCHLD is ignored, or someone waits for any child
            return "is not a working Python: it ended"
        if pid and os.WIFSIGNALED(status):
            from signal import Signals

            number = os.WTERMSIG(status)
            known = any(number == each for each in Signals)
            name = Signals(number).name if known else "unknown"
            return f"was killed by signal {number} ({name})"
        if pid:
            return f"is not a working Python: it ended with status {os.WEXITSTATUS(status)}"
        if time.monotonic() > deadline:
            return None
        time.sleep(0.001)


def _kill(child: int) -> None:
    # Its group has the same id.  The second call is for a child that has not made it yet.
    for kill in (os.killpg, os.kill):
        try:
            kill(child, _SIGKILL)
        except OSError:
            pass
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass
