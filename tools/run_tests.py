# SPDX-License-Identifier: MIT
"""Run the test suite once for each pair of host and guest that this machine has.

    pypy       PyPy, guest .venv-guest (with numpy and friends)
    second     PyPy, guest another CPython, bare: the oldest found
    cpython    .venv-cphost, guest .venv-guest

    run_tests.py [--only=pypy|second|cpython] [-- pytest's arguments]

The guest is told in PYBRIDGE_PYTHON.  As many runs as there are cores go on at once; what
one prints is shown when it has ended.  The totals at the end are those of pytest's own
reports; a run that left no report (a crash, a timeout) counts as failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cpythons
from environments import CPHOST, GUEST, HOST, ROOT, WORK

# Modules whose tests need no guest: a second run on the same host would say nothing new.
OF_THE_HOST = ["build", "children", "discover", "errors", "host", "layers", "probe", "settings"]


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


@dataclass
class Totals:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Totals) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

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


def read_report(report: Path) -> Totals:
    suite = ElementTree.parse(report).getroot()
    total, failed, skipped = (
        sum(int(part.get(key, "0")) for part in suite.iter("testsuite") for key in keys)
        for keys in (["tests"], ["failures", "errors"], ["skipped"])
    )
    return Totals(total - failed - skipped, failed, skipped)


def run(pair: Pair, arguments: list[str], log: Path | None) -> tuple[Totals, str]:
    """The totals, and what went wrong beside failed tests ('' when nothing did).  What pytest
    prints goes to `log`, or straight out."""
    report = WORK / f"report-{pair.name}.xml"
    report.unlink(missing_ok=True)
    command = [str(pair.host), "-m", "pytest", f"--junitxml={report}"]
    command += ["-o", f"cache_dir={WORK / ('pytest-' + pair.name)}"]
    if pair.name == "second":
        command += [f"--ignore=tests/test_{name}.py" for name in OF_THE_HOST]
    command += arguments
    environment = dict(
        os.environ,
        PYBRIDGE_PYTHON=str(pair.guest),
        PYBRIDGE_DEMOS_OUT=str(WORK / f"demos-{pair.name}"),
    )
    if log is None:
        status = subprocess.run(command, cwd=ROOT, env=environment).returncode
    else:
        with log.open("w", encoding="utf-8") as out:
            status = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
            ).returncode
    try:
        totals = read_report(report)
    except (OSError, ElementTree.ParseError):
        totals = Totals()
    if status < 0:
        return totals, f"killed by {signal.Signals(-status).name}"
    if status == 5:
        return totals, "no tests ran"
    if status not in (0, 1) or (status == 1 and not totals.failed):
        return totals, f"pytest ended with status {status}"
    return totals, ""


def main() -> None:
    parser = argparse.ArgumentParser(description="run the test suite for each host and guest")
    parser.add_argument("--only", default="", choices=["", "pypy", "second", "cpython"])
    parser.add_argument("arguments", nargs="*", help="for pytest")
    options = parser.parse_args()

    chosen = [pair for pair in pairs() if options.only in ("", pair.name)]
    present = [pair for pair in chosen if pair.present]
    alone = len(present) < 2

    def timed(pair: Pair) -> tuple[Totals, str, float]:
        log = None if alone else WORK / f"test-{pair.name}.log"
        print(f"== {pair.name}: {pair.text}", flush=True)
        start = time.monotonic()
        totals, trouble = run(pair, options.arguments, log)
        if log is not None:
            text = log.read_text(encoding="utf-8", errors="replace")
            print(f"\n== {pair.name}: {pair.text}\n{text}", flush=True)
        return totals, trouble, time.monotonic() - start

    lines, sum_of_all, bad = [], Totals(), bool(options.only) and not present
    begin = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = dict(zip((pair.name for pair in present), pool.map(timed, present)))
    for pair in chosen:
        if not pair.present:
            lines.append(f"{pair.name:8} left out: {pair.text}")
            continue
        totals, trouble, took = results[pair.name]
        sum_of_all.add(totals)
        bad = bad or bool(trouble or totals.failed)
        words = [f"{pair.name:8} {totals}, {took:.0f} s", pair.text, trouble.upper()]
        lines.append("; ".join(filter(None, words)))

    print("\n" + "\n".join(lines))
    verdict = "FAILED" if bad else "ok"
    seconds = f"{time.monotonic() - begin:.0f} s"
    print(f"test: {verdict}: {sum_of_all} in {len(results)} combinations, {seconds}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
