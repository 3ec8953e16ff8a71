# SPDX-License-Identifier: MIT
"""The interpreters of this machine on which the tests of starts, threads, signals run.

    @guests.each                        # or few: the oldest and the newest
    def test_x(python):                 # once per version, skipped where there is none
        children.run(..., env=guests.env(python))

    @guests.once                        # takes long, and depends on host and guest little

All CPython 3.9 to 3.13 of pyenv's root, without those that the host cannot have as its
guest, and always the one that PYBRIDGE_PYTHON names.  `make test` runs the suite for several
pairs: all guests in the one with PyPy and the newest, its own guest in the others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VERSIONS = range(9, 14)


def _pyenv_root() -> Path | None:
    if shutil.which("pyenv") is None:
        return None
    answer = subprocess.run(["pyenv", "root"], stdout=subprocess.PIPE, text=True, timeout=60)
    return Path(answer.stdout.strip()) if answer.stdout.strip() else None


def _found() -> dict[int, str]:
    """The interpreter to use, by minor version."""
    found: dict[int, str] = {}
    root = _pyenv_root()
    for path in sorted((root / "versions").glob("3.*/bin/python")) if root else ():
        minor = path.parent.parent.name.split(".")[1]
        if minor.isdigit() and int(minor) in VERSIONS:
            found[int(minor)] = str(path)
    named = os.environ.get("PYBRIDGE_PYTHON")
    if named:
        code = "import sys; print(sys.version_info[1])"
        answer = subprocess.run(
            [named, "-I", "-c", code], stdout=subprocess.PIPE, text=True, timeout=60
        )
        found[int(answer.stdout)] = named
    if sys.implementation.name == "cpython":
        found.pop(sys.version_info[1], None)
    return found


FOUND = _found()


NAMED = os.environ.get("PYBRIDGE_PYTHON")
_MINE = [minor for minor, path in FOUND.items() if path == NAMED]
# Is this one of the other pairs?
OTHER = bool(_MINE) and (sys.implementation.name != "pypy" or _MINE[0] != max(FOUND))


def _parameters() -> list[object]:
    parameters: list[object] = []
    if OTHER:
        return [pytest.param(NAMED, id=f"3.{_MINE[0]}")]
    for minor in VERSIONS:
        if minor in FOUND:
            parameters.append(pytest.param(FOUND[minor], id=f"3.{minor}"))
        else:
            why = f"no CPython 3.{minor} to be the guest here"
            parameters.append(pytest.param("", id=f"3.{minor}", marks=pytest.mark.skip(why)))
    return parameters


_ALL = _parameters()
each = pytest.mark.parametrize("python", _ALL)
# The oldest and the newest, for what takes long and does not depend on the guest much.
few = pytest.mark.parametrize("python", [_ALL[0], _ALL[-1]] if len(_ALL) > 1 else _ALL)
once = pytest.mark.skipif(OTHER, reason="once is enough: on PyPy with the newest guest")


def env(python: str, **more: str | None) -> dict[str, str | None]:
    """The changes to a child's environment that make `python` its guest."""
    return {"PYBRIDGE_PYTHON": python, **more}
