# SPDX-License-Identifier: MIT
"""Run the test suite once for each pair of host and guest that this machine has.

    pypy       PyPy, guest .venv-guest (with numpy and friends)
    second     PyPy, guest another CPython, bare: the oldest found
    cpython    .venv-cphost, guest .venv-guest

    run_tests.py [--only=pypy|second|cpython] [-- pytest's arguments]

The guest is told in PYBRIDGE_PYTHON.  The test files are dealt out to *shares*, each run by
a pytest of its own, some at once.  Not only for the cores' sake: the tests collect garbage
more than a thousand times, and a collection costs what has been loaded and compiled so far.
With arguments for pytest there is one share a pair.

What a share prints is shown when it failed; all of it is in .build/test-*.log.  The totals
at the end are those of pytest's own reports; a share that left no report (a crash, a
timeout) counts as failed.

On SIGINT and SIGTERM the pytest processes are ended first, by SIGINT, upon which they end the
programs that their tests run.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import cpythons
from environments import CPHOST, GUEST, HOST, ROOT, WORK

# Modules whose tests need no guest, or whatever guest there is: a second run on the same host
# would say nothing new.
OF_THE_HOST = [
    "build", "children", "columns", "dates", "discover", "docs", "doctests", "doctor",
    "elements", "errors", "gallery", "host", "layers", "layout", "loops", "main", "probe",
    "release", "require", "run_tests", "script", "settings", "signature", "table", "templates",
    "traces",
]  # fmt: skip
# Files that take long, each a share of its own; those that take longest begin first.
LONG = ["gallery", "environment", "attach", "release", "signals"]
FILES = 12  # of a share of the others


@dataclass(frozen=True)
class Pair:
    name: str
    host: Path | None
    guest: str | None
    text: str
    """Host and guest in words, or why the pair is left out."""

    @property
    def present(self) -> bool:
        return bool(self.host and self.guest)


@dataclass(frozen=True)
class Share:
    pair: Pair
    name: str
    files: list[str]


@dataclass
class Totals:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: collections.Counter[str] = field(default_factory=collections.Counter)
    """Of the skipped."""
    trouble: list[str] = field(default_factory=list)
    """What went wrong beside failed tests."""
    seconds: float = 0
    """Those of all processes, one after the other."""

    @property
    def bad(self) -> bool:
        return bool(self.failed or self.trouble)

    def add(self, other: Totals) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.reasons.update(other.reasons)
        self.trouble += other.trouble
        self.seconds += other.seconds

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def dotted(version: list[int]) -> str:
    return ".".join(map(str, version))


def pairs() -> list[Pair]:
    pypy = HOST.facts()["version"]  # the language's three numbers, then PyPy's own
    host = f"PyPy {dotted(pypy[3:])} ({dotted(pypy[:2])})"
    guest_version = GUEST.facts()["version"]
    guest = f"CPython {dotted(guest_version)} (.venv-guest)"
    minor = (guest_version[0], guest_version[1])

    found = [Pair("pypy", HOST.python, str(GUEST.python), f"{host} with {guest}")]
    second = cpythons.second_guest(minor, cpythons.find())
    if second:
        text = f"{host} with CPython {dotted(list(second.version))} (bare)"
        found.append(Pair("second", HOST.python, second.path, text))
    else:
        found.append(Pair("second", None, None, "no second CPython with a shared library"))
    if CPHOST.minor not in (None, minor):
        text = f"CPython {dotted(CPHOST.facts()['version'])} with {guest}"
        found.append(Pair("cpython", CPHOST.python, str(GUEST.python), text))
    else:
        found.append(Pair("cpython", None, None, "no second CPython with headers"))
    return found


def shares(pair: Pair) -> list[Share]:
    """All test files of a pair, the long ones first."""
    names = sorted(path.stem[len("test_") :] for path in ROOT.glob("tests/test_*.py"))
    if pair.name == "second":
        names = [name for name in names if name not in OF_THE_HOST]
    others = [name for name in names if name not in LONG]
    count = -(-len(others) // FILES)
    parts = [[name] for name in LONG if name in names]
    parts += [others[i::count] for i in range(count)]
    return [
        Share(pair, f"{pair.name}-{i}", [f"tests/test_{name}.py" for name in part])
        for i, part in enumerate(parts, 1)
    ]


def read_report(report: Path) -> Totals:
    totals = Totals()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, failures, errors, skipped = (
            int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")
        )
        totals.failed += failures + errors
        totals.skipped += skipped
        totals.passed += tests - failures - errors - skipped
        totals.reasons.update(skip.get("message", "") for skip in suite.iter("skipped"))
    return totals


class Processes:
    """Those that run now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def run(self, command: list[str], environment: dict[str, str], out: IO[str] | None) -> int:
        """Run it to its end, in the repository's folder, and give its status."""
        with self._lock:
            if self._ended:
                return -signal.SIGINT
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=out, stderr=out and subprocess.STDOUT
            )
            self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def end(self) -> None:
        """End all, and start none any more.  The terminal's Ctrl-C has reached them too, and
        a second one would disturb them while they clean up: so they get a moment first."""
        with self._lock:
            self._ended = True
        for number, seconds in ((0, 2), (signal.SIGINT, 10), (signal.SIGKILL, 10)):
            with self._lock:
                for process in self._running:
                    process.send_signal(number)
            end = time.monotonic() + seconds
            while self._running and time.monotonic() < end:
                time.sleep(0.05)


processes = Processes()


def terminated(number: int, frame: object) -> None:
    """As Ctrl-C, with another status."""
    sys.exit(128 + number)


def run(share: Share, arguments: list[str], log: Path | None) -> Totals:
    """What pytest prints goes to `log`, or straight out."""
    report = WORK / f"report-{share.name}.xml"
    report.unlink(missing_ok=True)
    command = [str(share.pair.host), "-m", "pytest", f"--junitxml={report}"]
    command += ["-o", f"cache_dir={WORK / ('pytest-' + share.name)}"]
    command += arguments + share.files
    environment = dict(
        os.environ,
        PYBRIDGE_PYTHON=str(share.pair.guest),
        PYBRIDGE_DEMOS_OUT=str(WORK / f"demos-{share.pair.name}"),
        # PyPy before 7.3.16 loses objects otherwise, and pytest, which rewrites the test files
        # in memory, does just what is needed for that (docs/troubleshooting.md).  conftest.py
        # takes it away again: the programs of the tests run as they do for users.
        PYPY_GC_INCREMENT_STEP="64GB",
    )
    begin = time.monotonic()
    with log.open("w", encoding="utf-8") if log else contextlib.nullcontext() as out:
        status = processes.run(command, environment, out)
    try:
        totals = read_report(report)
    except (OSError, ElementTree.ParseError):
        totals = Totals()
    totals.seconds = time.monotonic() - begin
    if status < 0:
        totals.trouble = [f"{share.name} was killed by {signal.Signals(-status).name}"]
    elif status == 5:
        totals.trouble = [f"{share.name}: no tests ran"]
    elif status not in (0, 1) or (status == 1 and not totals.failed):
        totals.trouble = [f"{share.name}: pytest ended with status {status}"]
    return totals


Ran = Generator[tuple[Share, Totals], None, None]


def run_all(chosen: list[Share], arguments: list[str]) -> Ran:
    """One more at once than there are cores: each waits now and then, for a child or a timer.
    What one prints is shown if it is the only one, or has failed."""

    def one(share: Share) -> Totals:
        log = WORK / f"test-{share.name}.log" if len(chosen) > 1 else None
        totals = run(share, arguments, log)
        files = " ".join(re.sub(r"tests/test_|\.py", "", file) for file in share.files)
        text = f"== {share.name}: {totals}, {totals.seconds:.0f} s: {files}"
        if log and (totals.bad or arguments):
            text += "\n" + log.read_text(encoding="utf-8", errors="replace")
        print(text, flush=True)
        return totals

    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        try:
            yield from zip(chosen, pool.map(one, chosen))
        except BaseException:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            processes.end()
            pool.shutdown(cancel_futures=True)
            raise


def main() -> None:
    parser = argparse.ArgumentParser(description="run the test suite for each host and guest")
    parser.add_argument("--only", default="", choices=["", "pypy", "second", "cpython"])
    parser.add_argument("arguments", nargs="*", help="for pytest")
    options = parser.parse_args()

    # pytest compiles the test files for its assertions: 0.7 s each on PyPy, if not kept.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    found = [pair for pair in pairs() if options.only in ("", pair.name)]
    present = [pair for pair in found if pair.present]
    if options.arguments:
        chosen = [Share(pair, pair.name, []) for pair in present]
    else:
        chosen = [share for pair in present for share in shares(pair)]
        chosen.sort(key=lambda share: int(share.name.split("-")[1]))
    for pair in present:
        print(f"== {pair.name}: {pair.text}", flush=True)
    begin = time.monotonic()
    results = {pair.name: Totals() for pair in present}
    signal.signal(signal.SIGTERM, terminated)
    with contextlib.closing(run_all(chosen, options.arguments)) as ran:
        for share, totals in ran:
            results[share.pair.name].add(totals)

    for pair in present:
        for reason, count in sorted(results[pair.name].reasons.items()):
            print(f"{pair.name:8} {count:4} skipped: {reason}")
    print()
    for pair in found:
        if not pair.present:
            print(f"{pair.name:8} left out: {pair.text}")
            continue
        totals = results[pair.name]
        words = [f"{pair.name:8} {totals}, {totals.seconds:.0f} s", pair.text]
        print("; ".join(words + [trouble.upper() for trouble in totals.trouble]))
    sum_of_all = Totals()
    for totals in results.values():
        sum_of_all.add(totals)
    bad = sum_of_all.bad or bool(options.only and not present)
    verdict = "FAILED" if bad else "ok"
    seconds = f"{time.monotonic() - begin:.0f} s"
    print(f"test: {verdict}: {sum_of_all} in {len(results)} combinations, {seconds}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
