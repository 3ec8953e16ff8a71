# SPDX-License-Identifier: MIT
"""Environments for the guest: making them, and installing into them.

    <data>/guest           the one of `python -m pybridge install`, when none was chosen
    <data>/for/<key>       one for each set of requirements (`pybridge.require`, PEP 723)
    <data>/<name>.lock     held while that one is made or changed

<data> is $XDG_DATA_HOME/pybridge, by default ~/.local/share/pybridge.

An environment is a plain venv with a record, `pybridge.json`, which is written last: what has
none is half-made, is never used, and is removed by whoever makes it anew.  (Making it under
another name and renaming it was tried: the scripts that pip writes name the place where they
were installed.)  A failure or Ctrl-C removes it at once.  Two that want the same one: the
second waits for the first, and says so.

The network is asked only while an environment is made.  One that is there is used as it is, and
is not brought up to date: to have it made anew, remove its folder.  `UV_OFFLINE`,
`PIP_NO_INDEX`, `PIP_INDEX_URL` and the other settings of the installers count as ever.

Versions of packages are compared by the guest's pip, which brings the code for it; those of
Python here, because they decide whose pip that is.
"""

from __future__ import annotations

import os
import sys

from pybridge import _discover, _settings
from pybridge._errors import BridgeError, GuestNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pybridge._probe import Guest

RECORD = "pybridge.json"
_ROOM = 30 << 20  # bytes that a new environment needs at least
_COPIED = 2000  # characters of an installer's last output in an error

# Runs in an interpreter that may be any CPython: which of the requirements does it not meet?
_MISSING = """
import importlib.metadata, json, sys
for place in ("pip._vendor.packaging", "packaging", "setuptools._vendor.packaging"):
    try:
        requirements = __import__(place + ".requirements", fromlist=["x"])
        break
    except ImportError:
        continue
else:
    sys.exit("neither pip nor packaging is installed there, one of which compares versions")
answer = []
for text in sys.argv[1:]:
    try:
        wanted = requirements.Requirement(text)
    except requirements.InvalidRequirement as error:
        sys.exit("%r is not a requirement: %s" % (text, str(error).splitlines()[0]))
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        continue
    try:
        found = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        answer.append("%s is not installed" % wanted.name)
        continue
    if not wanted.specifier.contains(found, prereleases=True):
        answer.append("%s is wanted, %s is installed" % (text, found))
print(json.dumps(answer))
"""


# ---- whose versions ------------------------------------------------------------------------


def python_fits(version: tuple[int, ...], wanted: str) -> bool:
    """Does a Python version meet a specifier such as ">=3.10, <3.14" (PEP 440)?"""
    for clause in filter(None, [part.strip() for part in wanted.split(",")]):
        for operator in ("===", "~=", "==", "!=", "<=", ">=", "<", ">"):
            if clause.startswith(operator):
                break
        else:
            raise _bad_python(wanted)
        text = clause[len(operator) :].strip()
        prefix = text.endswith(".*")
        parts = text[:-2].split(".") if prefix else text.split(".")
        if not all(part.isdigit() for part in parts) or (
            prefix and operator not in ("==", "!=")
        ):
            raise _bad_python(wanted)
        number = tuple([int(part) for part in parts])
        if not _clause_fits(version, operator, number, prefix):
            return False
    return True


def _clause_fits(
    version: tuple[int, ...], operator: str, number: tuple[int, ...], prefix: bool
) -> bool:
    same = version[: len(number)] == number
    if prefix:
        return same if operator == "==" else not same
    full = number + (0,) * (len(version) - len(number))
    if operator == "~=":
        return version >= full and version[: len(number) - 1] == number[:-1]
    return {
        "==": version == full,
        "===": version == full,
        "!=": version != full,
        "<=": version <= full,
        ">=": version >= full,
        "<": version < full,
        ">": version > full,
    }[operator]


def _bad_python(wanted: str) -> BridgeError:
    return BridgeError(
        f"{wanted!r}: not a specifier of Python versions.  Write it as '>=3.10, <3.14'.",
        code="PB124",
    )


# ---- making one ----------------------------------------------------------------------------


def said(text: str) -> None:
    """Tell the user what takes so long: on stderr, so that a program's output stays clean."""
    print(f"pybridge: {text}", file=sys.stderr, flush=True)


class _Lock:
    """Held by one process at a time; given back by the system if that one dies."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        import fcntl

        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            self._file = open(self._path, "w")
        except OSError as error:
            raise _unwritable(error) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said("waiting for another process, which is working on this environment")
            fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *exc: object) -> None:
        self._file.close()


def _unwritable(error: OSError) -> BridgeError:
    return BridgeError(
        f"{_settings.data_folder()}: no environment can be made there ({error}).  Set "
        "XDG_DATA_HOME to a place that can be written, or choose an environment of your own "
        "by PYBRIDGE_PYTHON.",
        code="PB120",
    )


def _run(command: Sequence[str], shown: bool) -> tuple[int, str]:
    """Run an installer.  `shown`: the user sees what it says, where that is a terminal."""
    import subprocess

    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}
    for name in ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV"):
        env.pop(name, None)
    if shown and sys.stderr is not None and sys.stderr.isatty():
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=2)
        return done.returncode, ""
    piped = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    return piped.returncode, piped.stdout.strip()[-_COPIED:]


def _make(folder: str, base: Guest, packages: Sequence[str], note: dict[str, Any]) -> None:
    """Make a venv with these packages in an empty place; the lock is held."""
    import json
    import shutil

    try:
        if os.path.lexists(folder):
            shutil.rmtree(folder)  # half-made, or its interpreter is gone
        said(f"making {folder} with CPython {_text(base.version)}")
        status, output = _run([base.executable, "-m", "venv", folder], False)
        if status != 0:
            remedy = "Debian has the module for it in the package python3-venv."
            free = shutil.disk_usage(os.path.dirname(folder)).free
            if free < _ROOM:  # ensurepip does not say so
                remedy = f"The disk is full: {free >> 10} KiB are left."
            raise BridgeError(
                f"{base.executable} cannot make a virtual environment ({_last(output)}).  "
                + remedy,
                code="PB120",
            )
        python = os.path.join(folder, "bin", "python")
        if packages:
            _install(python, packages)
        record = {**note, "base": base.executable, "version": list(base.version)}
        with open(os.path.join(folder, RECORD), "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise _unwritable(error) from None
        raise


def _text(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it said nothing"])[-1]


def _install(python: str, packages: Sequence[str], options: Sequence[str] = ()) -> None:
    """Install into the environment of `python`, with uv if there is one, else with its pip."""
    import shutil

    uv = shutil.which("uv")
    if uv is not None:
        command = [uv, "pip", "install", "--python", python]
    else:
        if _run([python, "-m", "pip", "--version"], False)[0] != 0:
            raise BridgeError(
                f"{python} has no pip, and there is no uv on PATH.  Run {python} -m ensurepip, "
                "or install uv.",
                code="PB121",
            )
        command = [python, "-m", "pip", "install", "--no-input"]
    wanted = " ".join(packages)
    said(f"installing {wanted}" if wanted else "installing")
    status, output = _run([*command, *options, *packages], True)
    if status != 0:
        what = wanted or " ".join(options)
        why = _last(output) if output else f"{os.path.basename(command[0])} says why above"
        raise BridgeError(
            f"{what}: could not be installed for {python} ({why}).  Without a network, "
            "packages come only from the installer's cache or PIP_FIND_LINKS.",
            code="PB122",
        )


# ---- the one of `pybridge install` ---------------------------------------------------------


def install(packages: Sequence[str], options: Sequence[str], python: str | None) -> str:
    """Install into the guest's environment, and give its interpreter.

    That of the guest which a start would use, if it is a venv or somebody's choice; the
    default one otherwise, made at its first use, so that no system's Python is changed.
    Raises BridgeError.
    """
    settings = _settings.load()
    chosen = python is not None or settings.python is not None
    guest = _discover.discover(python, settings)
    if chosen or guest.prefix != guest.base_prefix:
        with _Lock(_lock_of("install")):
            _install(guest.executable, packages, options)
        return guest.executable
    folder = _settings.default_guest()
    with _Lock(_lock_of("guest")):
        if not is_whole(folder):
            _make(folder, guest, (), {"requirements": []})
        _install(os.path.join(folder, "bin", "python"), packages, options)
    return os.path.join(folder, "bin", "python")


def is_whole(folder: str) -> bool:
    """Was it made to the end, and is its interpreter still there?"""
    return os.path.isfile(os.path.join(folder, RECORD)) and os.path.exists(
        os.path.join(folder, "bin", "python")
    )


def _lock_of(name: str) -> str:
    return os.path.join(_settings.data_folder(), f"{name}.lock")


# ---- those for requirements ----------------------------------------------------------------


def environment_for(requirements: Sequence[str], python: str) -> str:
    """The interpreter of an environment that has just these, made if need be."""
    import hashlib

    wanted = sorted({"".join(each.split()) for each in requirements})
    python_fits((3, 9, 0), python)  # is it a specifier at all?
    text = "\n".join([*wanted, f"python{''.join(python.split())}"])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    folder = os.path.join(_settings.data_folder(), "for", key)
    if not is_whole(folder):
        with _Lock(f"{folder}.lock"):
            if not is_whole(folder):  # another process made it meanwhile
                note = {"requirements": list(requirements), "python": python}
                _make(folder, _base_for(python), requirements, note)
    return os.path.join(folder, "bin", "python")


def _base_for(python: str) -> Guest:
    """The newest interpreter found that may be the guest and meets the specifier."""
    seen = []
    for guest in _discover.usable():
        if python_fits(guest.version, python):
            return guest
        seen.append(f"{guest.executable} is {_text(guest.version)}")
    raise GuestNotFound(
        f"no CPython {python} for the environment.  Found: {'; '.join(seen) or 'none'}.  "
        "Install one with its shared library, and have it on PATH.",
        code="PB103",
    )


def check(guest: Guest, requirements: Sequence[str], python: str, whose: str) -> None:
    """Raise BridgeError unless a guest that was chosen meets the requirements."""
    missing = []
    if not python_fits(guest.version, python):
        missing.append(f"Python {python} is wanted, it is {_text(guest.version)}")
    if requirements:
        import json

        command = [guest.executable, "-I", "-c", _MISSING, *requirements]
        status, output = _run(command, False)
        if status != 0:
            raise BridgeError(f"{guest.executable}: {_last(output)}", code="PB123")
        missing += json.loads(output.splitlines()[-1])
    if missing:
        names = " ".join([f"'{each}'" for each in requirements])
        raise BridgeError(
            f"{whose}: {guest.executable} does not meet the requirements: "
            f"{'; '.join(missing)}.  Choose no guest, and one is made for them; or install "
            f"them there: {sys.executable} -m pybridge install --python {guest.executable} "
            f"{names}",
            code="PB123",
        )
