# SPDX-License-Identifier: MIT
"""Which CPython becomes the guest.

The order, first usable one wins:

1. `pybridge.start(python=...)`
2. `PYBRIDGE_PYTHON`
3. `python` in `[tool.pybridge]`
4. the active VIRTUAL_ENV
5. the environment that `python -m pybridge install` made
6. `python3.X` on PATH, highest X first, in the order of PATH within one X; then `python3`

1 to 3 are somebody's decision: if that one is refused, it is an error that names the
setting, and nothing else is tried.  4 to 6 are only found: a refused one is passed over,
and its reason is told if nothing is left, or by `survey`.  Found ones must also be out of
reach of other users, because loading a library is running it, and nothing below the
current directory is ever found.  In 1 to 3 a directory stands for the venv in it, a name
without a slash is looked for on PATH and then as a venv, and other paths may be relative.

Version managers.  A pyenv shim is a script of 150 ms that runs the selected version or
fails, and a search from the highest version down meets the failing ones first.  Trying real
interpreters before scripts was rejected: it finds the system's Python where `python3.X` in
a shell is pyenv's.  Instead the shim's selection (PYENV_VERSION, then pyenv's global one)
is read without running it.  A `.python-version` file is not followed, for it depends on the
current directory.  Scripts of other managers are run like any candidate.

When the host itself is a CPython, guests of its version are refused: both would need the
same libpython, and the process has one copy of its state.
"""

from __future__ import annotations

import os
import stat
import sys

from pybridge import _settings
from pybridge._errors import GuestNotFound
from pybridge._facts import Facts
from pybridge._probe import Guest, Refused, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NEWEST_MINOR = 15  # looked for by name; a later one is found as `python3` or when named
_OLDEST_MINOR = 9
_MOST_LINKS = 40  # that of Linux, see path_resolution(7)

_HOST_CPYTHON: tuple[int, int] | None = None  # set when the host is one
if sys.implementation.name == "cpython":
    _HOST_CPYTHON = sys.version_info[:2]


class Candidate(Facts):
    """One place that was looked at: a guest, or why not; for the doctor."""

    __slots__ = ("source", "path", "guest", "reason", "chosen")  # noqa: RUF023 (arguments)
    source: str  # "PYBRIDGE_PYTHON", "VIRTUAL_ENV", "python3.11 on PATH", ...
    path: str
    guest: Guest | None
    reason: str | None  # continues a sentence that begins with the path
    chosen: bool


class _Place(Facts):
    __slots__ = ("source", "path", "reason", "named")  # noqa: RUF023
    source: str
    path: str
    reason: str | None  # refused already, without a probe
    named: bool  # by an argument or a setting: an error if refused, trusted if not


def discover(
    python: str | os.PathLike[str] | None = None, settings: _settings.Settings | None = None
) -> Guest:
    """Find the guest; raise GuestNotFound with each place tried and its reason.

    `python` is that of `pybridge.start`.  Settings are loaded if not given.  Runs one child
    for each candidate looked at, see `_probe.probe`.  Any thread.
    """
    tried = []
    for place in _places(python, settings or _settings.load()):
        try:
            return _examine(place)
        except Refused as refusal:
            if place.named:
                raise GuestNotFound(
                    f"{place.source}: {place.path or repr('')} {refusal.reason}.  Name another "
                    f"interpreter there, or none; pybridge does not fall back from a choice.",
                    code="PB101",
                ) from None
            tried.append(f"{place.source}: {place.path} {refusal.reason}")
    if not tried:
        tried.append("no python3.X on PATH, and no VIRTUAL_ENV")
    raise GuestNotFound(
        f"no usable CPython.  Tried: {'; '.join(tried)}.  Install a CPython 3.9 or newer with "
        f"its shared library, and name it by PYBRIDGE_PYTHON if it is not on PATH."
    )


def survey(
    python: str | os.PathLike[str] | None = None, settings: _settings.Settings | None = None
) -> list[Candidate]:
    """Look at every place, also after the guest is found, and say which one is chosen.

    None is chosen when an argument or a setting names a bad one.  Some 20 ms for each.
    """
    candidates = []
    decided = False
    for place in _places(python, settings or _settings.load()):
        guest, reason = None, None
        try:
            guest = _examine(place)
        except Refused as refusal:
            reason = refusal.reason
        chosen = guest is not None and not decided
        decided = decided or chosen or place.named
        candidates.append(Candidate(place.source, place.path, guest, reason, chosen))
    return candidates


def usable() -> Iterator[Guest]:
    """Find interpreters on PATH to make an environment of, best first.  Like `discover` runs
    a child for each that is looked at."""
    seen = set()
    for place in _on_path_by_version():
        real = os.path.realpath(place.path)
        if real not in seen:
            seen.add(real)
            try:
                yield _examine(place)
            except Refused:
                continue


# ------------------------------------------------------------------------------ the places


def _places(
    python: str | os.PathLike[str] | None, settings: _settings.Settings
) -> Iterator[_Place]:
    if python is not None:
        yield _named("pybridge.start(python=...)", os.fspath(python), "")
    if settings.python is not None:
        yield _named(settings.python_source, settings.python, settings.python_base)
    seen = set()
    for place in _found():
        key = (os.path.realpath(os.path.dirname(place.path)), os.path.realpath(place.path))
        if key not in seen:  # /bin is /usr/bin; in one directory python3 is python3.11
            seen.add(key)
            yield place


def _named(source: str, python: str, base: str) -> _Place:
    if not python or "\0" in python:
        return _Place(source, "", "is not the name of a file", True)
    if "/" not in python and not python.startswith((".", "~")):
        on_path = list(_on_path(python))
        for path, reason in sorted(on_path, key=lambda found: found[1] is not None)[:1]:
            return _Place(source, path, reason, True)
        if not os.path.isdir(os.path.join(base, python)):
            return _Place(source, python, "is not on PATH", True)
    path = os.path.abspath(os.path.join(base, os.path.expanduser(python)))
    if os.path.isdir(path):
        return _Place(source, *_of_venv(path), True)
    return _Place(source, *_of_shim(path), True)


def _found() -> Iterator[_Place]:
    venv = os.environ.get("VIRTUAL_ENV")
    if venv:
        path, reason = _of_venv(venv)
        if not os.path.isabs(venv):
            reason = "is not an absolute path"
        yield _Place("VIRTUAL_ENV", path, reason, False)
    made = _settings.default_guest()
    if os.path.isfile(os.path.join(made, "pybridge.json")):  # made to the end: _environment
        path, reason = _of_venv(made)
        yield _Place("pybridge install", path, reason, False)
    yield from _on_path_by_version()


def _on_path_by_version() -> Iterator[_Place]:
    names = [f"python3.{minor}" for minor in range(_NEWEST_MINOR, _OLDEST_MINOR - 1, -1)]
    for name in [*names, "python3"]:
        for path, reason in _on_path(name):
            yield _Place(f"{name} on PATH", path, reason, False)


def _on_path(name: str) -> Iterator[tuple[str, str | None]]:
    """Yield (path, reason to refuse it) for each file a shell could run by this name.

    Empty and relative entries of PATH mean the current directory, and are skipped.
    """
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(directory, name)
        if os.path.isabs(directory) and os.path.isfile(path) and os.access(path, os.X_OK):
            yield _of_shim(path)


def _of_venv(directory: str) -> tuple[str, str | None]:
    for name in ("python", "python3"):
        path = os.path.join(directory, "bin", name)
        if os.path.lexists(path):
            return path, None
    if os.path.isdir(directory):
        return directory, "is a directory without bin/python"
    return directory, "does not exist"


def _of_shim(path: str) -> tuple[str, str | None]:
    """Give what a pyenv shim selects, or why it selects nothing; any other path as it is."""
    root = _pyenv_root(path) if os.path.isfile(path) else None
    if root is None:
        return path, None
    selected = os.environ.get("PYENV_VERSION", "").replace(":", " ").split()
    if not selected:
        try:
            with open(os.path.join(root, "version"), encoding="utf-8") as file:
                selected = [word for line in file for word in line.partition("#")[0].split()]
        except (OSError, UnicodeDecodeError):
            selected = []
    for version in selected or ["system"]:
        target = os.path.join(root, "versions", version, "bin", os.path.basename(path))
        if os.path.exists(target):
            return target, None
    names = " ".join(selected) or "system"
    return path, f"is a shim of pyenv, and the version it selects ({names}) has none"


def _pyenv_root(path: str) -> str | None:
    """Give the root of pyenv if this is one of its shims: a script that says `pyenv exec`."""
    try:
        with open(path, "rb") as file:
            head = file.read(1024) if file.read(2) == b"#!" else b""
    except OSError:
        return None
    if b'/pyenv" exec ' not in head:
        return None
    for line in head.splitlines():
        if line.startswith(b'export PYENV_ROOT="'):
            return os.fsdecode(line.partition(b'"')[2].rstrip(b'"'))
    return None


# ---------------------------------------------------------------------------- the judgement


def _examine(place: _Place) -> Guest:
    if place.reason is not None:
        raise Refused(place.reason)
    host = os.path.realpath(sys.executable or "/proc/self/exe")
    if os.path.realpath(place.path) == host:
        raise Refused("is the interpreter that runs this process")
    if not place.named:
        _check_reach(place.path)
    guest = probe(place.path)
    if not place.named:
        _check_reach(guest.executable)
        _check_reach(guest.library)
    if guest.version[:2] == _HOST_CPYTHON:
        raise Refused(
            f"is CPython {guest.version[0]}.{guest.version[1]}, and so is this process: two "
            f"interpreters cannot share one library; choose another version"
        )
    return guest


def _check_reach(path: str) -> None:
    """Refuse a file that other users can change, or replace through a directory above it.

    Anyone may create a file in a directory like /tmp, so there it must belong to root or to
    this user.  Links are followed one by one at the end of the path, at once above it.
    """
    chain = [os.path.abspath(path)]
    while os.path.islink(chain[-1]) and len(chain) <= _MOST_LINKS:
        target = os.path.join(os.path.dirname(chain[-1]), os.readlink(chain[-1]))
        chain.append(os.path.normpath(target))
    for each in (*chain, os.path.realpath(path)):
        if not os.path.exists(each):
            continue  # the probe says so
        below = os.stat(each)
        if below.st_mode & stat.S_IWOTH:
            raise Refused(_reach_reason(each))
        directory = os.path.dirname(each)
        while True:
            above = os.stat(directory)
            sticky = above.st_mode & stat.S_ISVTX and below.st_uid in (0, os.getuid())
            if above.st_mode & stat.S_IWOTH and not sticky:
                raise Refused(_reach_reason(directory))
            if directory == "/":
                break
            directory, below = os.path.dirname(directory), above


def _reach_reason(path: str) -> str:
    return (
        f"can be changed by other users, who may write to {path}: take that permission away, "
        f"or name this interpreter by PYBRIDGE_PYTHON"
    )
