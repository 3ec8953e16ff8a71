# SPDX-License-Identifier: MIT
"""Whole programs: native CPython against `python -m pybridge run`, start-up included.

    .venv-host/bin/python benchmarks/whole.py PYTHON [PYTHON ...] [--rounds N] [--only NAME]

Each PYTHON is a CPython with numpy and scipy; it runs the programs natively, and is the guest.
They are benchmarks/programs/*.py, which know nothing of the bridge.  A round runs each program
once on each side, one after the other, so that a slower moment of the machine meets all.  Time
of the processor, user and system, children included, is what is compared (on an idle machine it
is that of the clock, which is kept too): the minimum over all rounds, and the median.  What a
program prints must be the same everywhere.  Data go to benchmarks/results/programs.json.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine import environment, keep, machine, versions

PROGRAMS = Path(__file__).resolve().parent / "programs"
GOAL = 1 / 7
GOALS = {"mixed": 0.5}  # where it is another


def timed(command: list[str], env: dict[str, str]) -> tuple[float, float, str]:
    """Seconds of the processor, of the clock, and what was printed."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    clock = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return busy, clock, done.stdout


def measured(program: Path, pythons: list[str], rounds: int) -> list[dict[str, Any]]:
    """A row for each interpreter."""
    rows: list[dict[str, Any]] = [{"native": [], "bridge": []} for _ in pythons]
    printed = set()
    env = environment()
    for _ in range(rounds):
        for python, row in zip(pythons, rows):
            env["PYBRIDGE_PYTHON"] = python
            bridge = [sys.executable, "-m", "pybridge", "run", str(program)]
            for side, command in (("native", [python, str(program)]), ("bridge", bridge)):
                busy, clock, text = timed(command, env)
                row[side].append((busy, clock))
                printed.add(text)
    if len(printed) != 1:
        raise SystemExit(f"{program.name} printed different things: {sorted(printed)}")
    return rows


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pythons", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="programs whose name has this text")
    options = parser.parse_args()
    pythons = [os.path.abspath(python) for python in options.pythons]
    found = [versions(python) for python in pythons]
    table = []
    print(f"{'':10} {'CPython':>8} {'native':>8} {'bridge':>8} {'ratio':>7} {'median':>7}")
    for program in sorted(PROGRAMS.glob("*.py")):
        if options.only not in program.stem:
            continue
        rows = measured(program, pythons, options.rounds)
        for version, row in zip(found, rows):
            native, bridge = ([busy for busy, _ in row[s]] for s in ("native", "bridge"))
            ratio = min(bridge) / min(native)
            median = statistics.median(bridge) / statistics.median(native)
            table.append(
                {
                    "program": program.stem,
                    "python": version["python"],
                    "native_s": native,
                    "bridge_s": bridge,
                    "native_clock_s": [clock for _, clock in row["native"]],
                    "bridge_clock_s": [clock for _, clock in row["bridge"]],
                    "ratio_of_minima": ratio,
                    "ratio_of_medians": median,
                    "goal": GOALS.get(program.stem, GOAL),
                }
            )
            print(
                f"{program.stem:10} {version['python']:>8} {min(native):6.2f} s "
                f"{min(bridge):6.2f} s {1 / ratio:5.1f} x {1 / median:5.1f} x",
                flush=True,
            )
    if not options.only:
        keep("programs", {"machine": machine(), "versions": found, "rows": table})


main()
