# SPDX-License-Identifier: MIT
"""Make the virtual environments that are named as arguments, and build pybridge in them.

    host     .venv-host    PyPy (the interpreter that runs this), pybridge, the tests' tools
    guest    .venv-guest   a CPython with numpy, scipy, matplotlib and others
    cphost   .venv-cphost  a CPython of another version than the guest, pybridge, the
                           tests' tools; left out when the machine has no second CPython
    tools    .venv-tools   ruff and mypy for `make check`
    docs     .venv-docs    Sphinx for `make docs`
    bench    .venv-bench   PyPy with a numpy of its own, execnet and rpyc, for `make bench-all`
    native   .venv-native  a CPython of another version than the guest, with scipy, likewise

Each keeps a record of what it was made from (`made.json` inside it).  What has not changed
is not made again; `pybridge/*.py` is used in place, so a change there costs nothing.  A
venv is made anew when its base interpreter is gone or another one is asked for, packages
are installed when the requirements changed, and pybridge is compiled when one of its build
inputs changed (by content).

GUEST_PYTHON and CPHOST_PYTHON name the base interpreter; otherwise an existing venv keeps
its own, and a new one follows the rule in cpythons.py.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import cpythons

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".build"
REQUIREMENTS = ROOT / "tools" / "requirements"
BUILD_INPUTS = ["setup.py", "pyproject.toml", "pybridge_build.py", "pybridge/csrc/*"]


def fail(message: str) -> NoReturn:
    sys.exit(f"set-up: {message}")


class Environment:
    """One virtual environment and the record of how it was made."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = ROOT / f".venv-{name}"
        self.python = self.folder / "bin" / "python"
        self.record = self.folder / "made.json"

    def facts(self) -> dict[str, Any]:
        """What is recorded; empty when the venv is missing or its base is gone."""
        try:
            facts = json.loads(self.record.read_text())
        except (OSError, ValueError):
            return {}
        return dict(facts) if self.python.exists() else {}

    def note(self, **facts: Any) -> None:
        known = self.facts()
        known.update(facts)
        self.record.write_text(json.dumps(known, indent=1) + "\n")

    @property
    def minor(self) -> tuple[int, int] | None:
        version = self.facts().get("version")
        return (version[0], version[1]) if version else None

    def say(self, message: str) -> None:
        print(f"{self.name + ':':8}{message}", flush=True)

    def run(self, what: str, *command: str) -> None:
        """Run a step; its output goes to a log, the end of which is shown on failure."""
        self.say(what)
        WORK.joinpath("log").mkdir(parents=True, exist_ok=True)
        log = WORK / "log" / f"{self.name}.txt"
        with open(log, "a") as output:
            output.write(f"\n$ {' '.join(command)}\n")
            output.flush()
            done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            lines = log.read_text(errors="replace").splitlines()
            print("\n".join(lines[-40:]), file=sys.stderr)
            fail(f"{what}: failed; all of its output is in {log.relative_to(ROOT)}")

    def create(self, base: str, version: list[int]) -> None:
        """Make the venv, unless it stands on that base already."""
        known = self.facts()
        if (known.get("base"), known.get("version")) == (base, version):
            return
        text = ".".join(map(str, version[3:] or version))
        self.run(
            f"making {self.folder.name} with {base} ({text})",
            *(base, "-m", "venv", "--clear", str(self.folder)),
        )
        self.note(base=base, version=version)

    def install(self, file: str, *options: str) -> None:
        """Install the requirements, unless they are what was installed last."""
        texts = [(REQUIREMENTS / file).read_bytes(), (REQUIREMENTS / "test.txt").read_bytes()]
        digest = hashlib.sha256(b"\0".join(texts)).hexdigest()
        if self.facts().get("requirements") == digest:
            return
        self.run(
            f"installing the packages of tools/requirements/{file}",
            *(str(self.python), "-m", "pip", "install", "--disable-pip-version-check"),
            *("--no-input", *options, "-r", str(REQUIREMENTS / file)),
        )
        self.note(requirements=digest)

    def build(self) -> None:
        """Compile the core in place and make the project's folder importable."""
        digest = inputs_digest()
        known = self.facts()
        modules = [ROOT / name for name in known.get("modules", ["(none)"])]
        if known.get("inputs") == digest and all(module.exists() for module in modules):
            return
        begin = time.time()
        # `compat`: a plain .pth file.  setuptools' default, an import hook, makes every
        # start of the interpreter slower.
        self.run(
            "compiling pybridge",
            *(str(self.python), "-m", "pip", "install", "--disable-pip-version-check"),
            *("--no-input", "--no-build-isolation", "--no-deps"),
            *("--config-settings", "editable_mode=compat", "--editable", str(ROOT)),
        )
        made = [Path(name) for name in glob.glob(str(ROOT / "pybridge" / "_core.*.so"))]
        made = [path for path in made if path.stat().st_mtime >= begin - 1]
        if not made:
            fail("the build left no pybridge/_core.*.so")
        self.note(inputs=digest, modules=[str(path.relative_to(ROOT)) for path in made])

    def ready(self) -> None:
        version = self.facts()["version"]  # PyPy: the language's three numbers, then its own
        text = ".".join(map(str, version[3:] or version))
        self.say(f"{self.folder.name} is ready ({text})")


def inputs_digest() -> str:
    names = [name for pattern in BUILD_INPUTS for name in glob.glob(str(ROOT / pattern))]
    total = hashlib.sha256()
    for name in sorted(names):
        total.update(os.path.relpath(name, ROOT).encode() + b"\0")
        total.update(hashlib.sha256(Path(name).read_bytes()).digest())
    return total.hexdigest()


HOST, GUEST, CPHOST, TOOLS, DOCS, BENCH, NATIVE = map(
    Environment, ["host", "guest", "cphost", "tools", "docs", "bench", "native"]
)


def probe_setting(setting: str) -> cpythons.CPython | None:
    """The interpreter that an environment variable names; never a silent fall-back."""
    value = os.environ.get(setting)
    if not value:
        return None
    try:
        return cpythons.probe(value)
    except ValueError as error:
        fail(f"{setting}: {error}")


def create_on_pypy(environment: Environment) -> None:
    version = list(getattr(sys, "pypy_version_info", ())[:3])
    if not version:
        fail(f"must be run by PyPy, not by {sys.executable}")
    environment.create(os.path.realpath(sys.executable), [*sys.version_info[:3], *version])


def make_host() -> None:
    create_on_pypy(HOST)
    HOST.install("host.txt")
    HOST.build()


def make_guest() -> None:
    chosen = probe_setting("GUEST_PYTHON")
    if chosen and chosen.library is None:
        fail(f"GUEST_PYTHON={chosen.path} has no shared library")
    if not chosen and not GUEST.facts():
        chosen = next((python for python in cpythons.find() if python.is_guest), None)
        if not chosen:
            fail("no CPython with a shared library; `tools/system` says what to install")
    if chosen:
        GUEST.create(chosen.path, list(chosen.version))
    GUEST.install("guest.txt", "--only-binary=:all:")


def make_cphost() -> bool:
    """Whether there is one."""
    guest = GUEST.minor
    if guest is None:
        fail("cphost: make the guest first")
    chosen = probe_setting("CPHOST_PYTHON")
    if chosen and chosen.minor == guest:
        fail(f"CPHOST_PYTHON={chosen.path} has the guest's version")
    if not chosen and CPHOST.minor in (None, guest):
        chosen = cpythons.second_host(guest, cpythons.find())
        if not chosen:
            CPHOST.say("none: no second CPython with headers")
            return False
    if chosen:
        CPHOST.create(chosen.path, list(chosen.version))
    CPHOST.install("host.txt")
    CPHOST.build()
    return True


def make_bench() -> None:
    create_on_pypy(BENCH)
    BENCH.install("bench.txt", "--only-binary=:all:")


def make_native() -> bool:
    """Whether there is one."""
    guest = GUEST.minor
    if guest is None:
        fail("native: make the guest first")
    if NATIVE.minor in (None, guest):
        others = [p for p in cpythons.find() if p.minor != guest and p.minor >= (3, 11)]
        if not others:
            NATIVE.say("none: no second CPython >= 3.11")
            return False
        chosen = min(others, key=lambda python: python.minor)
        NATIVE.create(chosen.path, list(chosen.version))
    NATIVE.install("native.txt", "--only-binary=:all:")
    return True


def make_on_newest(environment: Environment, least: tuple[int, int]) -> None:
    if not environment.facts():
        found = cpythons.find() + [p for p in [probe_setting("GUEST_PYTHON")] if p]
        chosen = max(found, key=lambda python: python.minor, default=None)
        if not chosen or chosen.minor < least:
            wanted = ".".join(map(str, least))
            fail(
                f"{environment.name}: no CPython >= {wanted} with venv (Debian: python3 "
                "python3-venv)"
            )
        environment.create(chosen.path, list(chosen.version))
    environment.install(f"{environment.name}.txt")


def make_tools() -> None:
    make_on_newest(TOOLS, (3, 10))


def make_docs() -> None:
    make_on_newest(DOCS, (3, 11))


MAKERS = {
    "host": make_host,
    "guest": make_guest,
    "cphost": make_cphost,
    "tools": make_tools,
    "docs": make_docs,
    "bench": make_bench,
    "native": make_native,
}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two `make` at once must not build in the same folder."""
    WORK.mkdir(exist_ok=True)
    with open(WORK / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: waiting for another make", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    unknown = [name for name in sys.argv[1:] if name not in MAKERS]
    if unknown or not sys.argv[1:]:
        fail(f"usage: environments.py {' '.join(MAKERS)}")
    with alone():
        for name in sys.argv[1:]:
            if MAKERS[name]() is not False:
                Environment(name).ready()


if __name__ == "__main__":
    main()
