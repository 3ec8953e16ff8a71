# SPDX-License-Identifier: MIT
"""The table of ratios: operations through the bridge against native CPython.

    PYBRIDGE_PYTHON=.venv-guest/bin/python .venv-host/bin/python benchmarks/run.py [--rounds N]

Native is the guest's own python, same version, same machine, same run.  A machine's speed
drifts, so the two interpreters take turns on the same core, a slice of 12 ms each after 0.4 s
to warm up, and the ratio of a row is that of the minima over all rounds, beside the median of
the rounds' own ratios; goals.py says of which rows the empty loop is taken off.  Data go to
benchmarks/results/rows.json.  Other ways to have CPython's packages are compared by columns.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from typing import Any

from goals import EMPTY, GOALS, goal_text, ratio, reached
from machine import keep, machine, versions
from workers import SLICE, Worker


def rows(guest: str, rounds: int, only: str) -> list[dict[str, Any]]:
    """Measure every row."""
    native, bridge = Worker(guest, "native"), Worker(sys.executable, "bridge")
    table: list[dict[str, Any]] = []
    empty = (0.0, 0.0)
    for row in GOALS:
        if row != EMPTY and (only not in row or row not in native.rows):
            continue
        native.calibrate(row)
        bridge.calibrate(row)
        pairs = [(native.slice(row), bridge.slice(row)) for _ in range(rounds)]
        natives, bridges = zip(*pairs)
        if row == EMPTY:
            empty = (min(natives), min(bridges))
        table.append(
            {
                "row": row,
                "native_ns": min(natives),
                "bridge_ns": min(bridges),
                "ratio_of_minima": ratio(row, min(natives), min(bridges), empty),
                "median_ratio": statistics.median(ratio(row, n, b, empty) for n, b in pairs),
                "goal": goal_text(row),
                "rounds": rounds,
            }
        )
    native.end()
    bridge.end()
    return table


def start_up(guest: str, rounds: int) -> dict[str, object]:
    """Milliseconds from the first use to a ready guest, against the guest's own start."""
    own, ready = [], []
    text = (
        "import pybridge, time; t = time.perf_counter(); pybridge.start(); "
        "print(time.perf_counter() - t)"
    )
    for _ in range(rounds):
        begin = time.perf_counter()
        subprocess.run([guest, "-c", "pass"], check=True)
        own.append((time.perf_counter() - begin) * 1e3)
        out = subprocess.run(
            [sys.executable, "-c", text], check=True, stdout=subprocess.PIPE, text=True
        )
        ready.append(float(out.stdout) * 1e3)
    return {
        "own_ms": min(own),
        "ready_ms": min(ready),
        "extra_ms": min(ready) - min(own),
        "median_extra_ms": statistics.median(ready) - statistics.median(own),
        "goal_ms": 60.0,
    }


def _line(r: dict[str, Any]) -> str:
    met = {None: "", True: "met", False: "MISSED"}[
        reached(r["row"], r["ratio_of_minima"], r["bridge_ns"])
    ]
    return (
        f"{r['row']:32} {r['native_ns']:8.1f} ns {r['bridge_ns']:8.1f} ns "
        f"{r['ratio_of_minima']:7.2f} {r['median_ratio']:7.2f}   {r['goal']:10} {met}"
    )


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--only", default="", help="rows whose name has this text")
    options = parser.parse_args()
    guest = os.environ.get("PYBRIDGE_PYTHON")
    if not guest:
        raise SystemExit("set PYBRIDGE_PYTHON to the guest's python (make bench does)")
    version = subprocess.run(
        [guest, "-c", "import platform; print(platform.python_version())"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    host = f"{platform.python_implementation()} {platform.python_version()}"
    print(
        f"{host} with guest CPython {version}, against CPython {version}; {options.rounds} "
        f"rounds of {SLICE * 1000:.0f} ms, taking turns on one core"
    )
    table = rows(guest, options.rounds, options.only)
    print(f"{'':32} {'native':>9} {'bridge':>9} {'ratio':>7} {'median':>7}   goal")
    for r in table:
        print(_line(r))
    start = start_up(guest, 9)
    print(
        f"start: guest ready after {start['ready_ms']:.0f} ms, its own start "
        f"{start['own_ms']:.0f} ms, extra {start['extra_ms']:.0f} ms "
        f"(median {start['median_extra_ms']:.0f})   goal <= 60 ms"
    )
    if not options.only:
        data = {
            "machine": machine(),
            "versions": versions(guest),
            "rows": table,
            "start": start,
        }
        keep("rows", data)


main()
