# SPDX-License-Identifier: MIT
"""Which CPythons of this machine can serve as guest, as second guest, as host.

Looked at: `python3` and `python3.x` in the directories of PATH, and every version under
pyenv's root.  Each is asked in a child process.  This serves the set-up only; what a user
gets is decided by pybridge itself (`python -m pybridge doctor`).

The rule: the newest stable version of 3.11 to 3.13, for which all the packages of
requirements/guest.txt have current wheels; else the newest of 3.9 and 3.10.  Within a
version the first found, PATH before pyenv.

    python cpythons.py          list them, best guest first
    python cpythons.py --any    succeed if there is a guest
    python cpythons.py --up-to 3.11     print the best guest that is not newer
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GUESTS = [(3, minor) for minor in (13, 12, 11, 10, 9)]  # best first
OLDEST = (3, 9)

PROBE = """
import json, os, sys, sysconfig
from importlib.util import find_spec
var = sysconfig.get_config_var
lib = var("LIBDIR") or ""
places = [lib, os.path.join(lib, var("MULTIARCH") or ""), os.path.join(sys.base_prefix, "lib")]
names = [n for n in (var("INSTSONAME"), var("LDLIBRARY")) if n and ".so" in n]
files = [os.path.join(p, n) for p in places for n in names]
print(json.dumps({
    "cpython": sys.implementation.name == "cpython",
    "version": sys.version_info[:3],
    "stable": sys.version_info.releaselevel == "final" and not var("Py_GIL_DISABLED"),
    "in_venv": sys.prefix != sys.base_prefix,
    "library": next((f for f in files if os.path.exists(f)), None),
    "headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "venv": bool(find_spec("ensurepip")),
}))
"""


@dataclass(frozen=True)
class CPython:
    """A stable CPython that can make virtual environments."""

    path: str
    version: tuple[int, int, int]
    library: str | None
    """The shared library; None: no guest."""
    headers: bool
    """Whether extension modules can be compiled for it; False: no host."""

    @property
    def minor(self) -> tuple[int, int]:
        return self.version[:2]

    @property
    def is_guest(self) -> bool:
        return self.library is not None and self.minor in GUESTS

    def __str__(self) -> str:
        return f"CPython {'.'.join(map(str, self.version))} ({self.path})"


def candidates() -> Iterator[str]:
    """The interpreters to ask, as real paths, each once."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [Path(d) for d in os.get_exec_path() if os.path.isabs(d)]
    folders = [d for d in folders if not d.is_relative_to(pyenv)]  # its shims are scripts
    folders += sorted(pyenv.glob("versions/*/bin"))
    names = [f"python3.{minor}" for minor in range(9, 20)] + ["python3"]
    seen = set()
    for folder in folders:
        for name in names:
            path = os.path.realpath(folder / name)
            if path not in seen and os.access(path, os.X_OK) and os.path.isfile(path):
                seen.add(path)
                yield path


def probe(path: str) -> CPython:
    """Ask the interpreter at `path`; ValueError with the reason when it is of no use."""
    try:
        command = [path, "-I", "-c", PROBE]
        answer = subprocess.run(
            command, cwd="/", capture_output=True, timeout=20, check=True, text=True
        ).stdout
        facts = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ValueError(f"{path}: does not answer: {error}") from None
    if not facts["cpython"]:
        raise ValueError(f"{path}: not a CPython")
    if tuple(facts["version"]) < OLDEST:
        raise ValueError(f"{path}: older than 3.9")
    if not facts["stable"]:
        raise ValueError(f"{path}: a pre-release or free-threaded build")
    if not facts["venv"]:
        raise ValueError(f"{path}: has no ensurepip (Debian: apt install python3-venv)")
    return CPython(path, tuple(facts["version"]), facts["library"], facts["headers"])


def preference(python: CPython) -> tuple[bool, bool, tuple[int, int]]:
    return python.is_guest, python.minor >= (3, 11), python.minor


def find() -> list[CPython]:
    """The useful CPythons, best guest first."""
    found = []
    for path in candidates():
        try:
            found.append(probe(path))
        except ValueError:
            continue
    return sorted(found, key=preference, reverse=True)  # stable: first found stays first


def find_any_guest() -> bool:
    for path in candidates():
        try:
            if probe(path).is_guest:
                return True
        except ValueError:
            continue
    return False


def second_guest(first: tuple[int, int], found: list[CPython]) -> CPython | None:
    """The guest farthest from `first` in version: the oldest that is another one."""
    others = [python for python in found if python.is_guest and python.minor != first]
    return min(others, key=lambda python: python.minor, default=None)


def second_host(guest: tuple[int, int], found: list[CPython]) -> CPython | None:
    """A host for a guest of that version: the newest CPython of another one."""
    others = [python for python in found if python.headers and python.minor != guest]
    return max(others, key=lambda python: python.minor, default=None)


def main() -> None:
    if sys.argv[1:] == ["--any"]:
        sys.exit(0 if find_any_guest() else 1)
    if sys.argv[1:2] == ["--up-to"] and len(sys.argv) == 3:
        major, minor = map(int, sys.argv[2].split("."))
        fitting = [p.path for p in find() if p.is_guest and p.minor <= (major, minor)]
        if not fitting:
            sys.exit(f"no CPython up to {sys.argv[2]} with a shared library")
        print(fitting[0])
        return
    for python in find():
        uses = ["guest"] * python.is_guest + ["host"] * python.headers
        print(f"{python}: {', '.join(uses) or 'neither guest nor host'}")


if __name__ == "__main__":
    main()
