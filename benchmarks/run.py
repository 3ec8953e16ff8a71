# SPDX-License-Identifier: MIT
"""The table of ratios: operations through the bridge against native CPython.

    PYBRIDGE_PYTHON=.venv-guest/bin/python .venv-host/bin/python benchmarks/run.py [--rounds N]

Native is the guest's own python, same version, same machine, same run.  A machine's speed
drifts, so the two interpreters take turns on the same core, a slice of 12 ms each after 0.4 s
to warm up, and the ratio of a row is that of the minima over all rounds, beside the median of
the rounds' own ratios.  Data go to benchmarks/results/rows.json.  Other ways to have CPython's
packages are compared by columns.py.
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

from machine import keep, machine, versions
from workers import SLICE, Worker

# Goals: the ratio not to exceed; None where there is no goal.
GOALS: dict[str, float | None] = {
    "sqrt(x)": 1.0,
    "math.sqrt(x)": 1.0,
    "f(x), a guest function": 0.85,
    "f(x, y=1), a guest function": None,
    "callback with a keyword": None,
    "point.x, an int": 1.0,
    "o.m(1)": 1.15,
    "dict get": 0.7,
    "dict set": 1.2,
    "list get": 0.5,
    "for x in a list": 0.3,
    "for x in a generator": 0.9,
    "exception caught": 2.0,
    "a list of 10 ints as an argument": 3.0,
    "text, 10 there and back": None,
    "text, 1000 there and back": None,
    "text, 1M there and back": None,
    "text, 1M Cyrillic there and back": None,
    "Empty(), created and dropped": 1.5,
    "np.empty(1)": 1.3,
    "x + x, 10 elements": 1.2,
    "x.sum(), 10 elements": 1.03,
    "list of floats to array, each": 0.06,
    "array to list, each": 0.02,
    "80 MB to the guest": None,
    "80 MB to the host": None,
    "callback from reduce": 1.7,
    "Nelder-Mead, a step": 0.5,
    "v[i], a double of a view": None,
    "a[i], a double of an array": 0.02,
    "a[i], an int64": None,
    "a[i, j]": None,
    "for row in a: row[j]": None,
    "two fields of a record": 0.02,
    "for x in a, an array": 0.05,
    "a[i] = a[i] * c": 0.02,
    "np.sqrt(2.0)": 0.3,
    "jv(1.0, x)": 0.2,
    "expit(x)": 0.3,
    "ndtr(x)": 0.3,
    "native np.sqrt(x)": 0.3,
    "native jv(1.0, x)": 0.2,
    "native expit(x)": 0.3,
    "native ndtr(x)": 0.3,
    "quad, cheap, a point": 0.7,
    "quad, cheap, lowlevel": 0.7,
    "quad, 30 flops, a point": 0.25,
    "quad, 30 flops, lowlevel": 0.25,
}

# Likewise in nanoseconds, of what native CPython does by passing a pointer.
GOALS_NS = {
    "text, 10 there and back": 90.0,
    "text, 1000 there and back": 400.0,
    "text, 1M there and back": 0.3e6,
    "text, 1M Cyrillic there and back": 2e6,
    "80 MB to the guest": 3000.0,
    "80 MB to the host": 3000.0,
}


def rows(guest: str, rounds: int, only: str) -> list[dict[str, object]]:
    """Measure every row."""
    native, bridge = Worker(guest, "native"), Worker(sys.executable, "bridge")
    table: list[dict[str, object]] = []
    for row, goal in GOALS.items():
        if only not in row or row not in native.rows:
            continue
        native.calibrate(row)
        bridge.calibrate(row)
        pairs = [(native.slice(row), bridge.slice(row)) for _ in range(rounds)]
        natives, bridges = zip(*pairs)
        table.append(
            {
                "row": row,
                "native_ns": min(natives),
                "bridge_ns": min(bridges),
                "ratio_of_minima": min(bridges) / min(natives),
                "median_ratio": statistics.median(b / n for n, b in pairs),
                "goal": goal,
                "goal_ns": GOALS_NS.get(row),
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
    goal = r["goal"] if r["goal_ns"] is None else r["goal_ns"]
    reached = r["ratio_of_minima"] if r["goal_ns"] is None else r["bridge_ns"]
    met = "" if goal is None else ("met" if reached <= goal else "MISSED")
    wanted = "" if goal is None else f"<= {goal:g}" + (" ns" if r["goal_ns"] else "")
    return (
        f"{r['row']:32} {r['native_ns']:8.1f} ns {r['bridge_ns']:8.1f} ns "
        f"{r['ratio_of_minima']:7.2f} {r['median_ratio']:7.2f}   {wanted:10} {met}"
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
