# SPDX-License-Identifier: MIT
"""The main rows on every way to have CPython's packages from a program, side by side.

    PYBRIDGE_PYTHON=.venv-guest/bin/python .venv-host/bin/python benchmarks/columns.py \\
        [--native PYTHON ...] [--pypy PYTHON] [--rounds N] [--only TEXT]

    native      CPython alone: the guest's, and each --native
    pybridge    this interpreter, with that guest
    cpyext      --pypy, a PyPy with a numpy of its own (and with execnet and rpyc)
    execnet     --pypy, which sends messages to the guest's CPython in a process of its own
    rpyc        likewise, by proxies

All take turns, 12 ms each after 0.4 s to warm up, on one core, but those of two processes,
which may use two.  What takes longer than 12 ms each time is done a few times only.  Data go
to benchmarks/results/columns.json; benchmarks/report.py makes the README's table of them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from functools import partial
from typing import Any

from machine import keep, machine, time_text, versions
from workers import SLICE, Stuck, Worker

ROWS = (
    "sqrt(x)", "f(x), a guest function", "point.x, an int", "o.m(1)", "dict get", "list get",
    "for x in a list", "callback from reduce", "text, 10 there and back",
    "text, 1M there and back", "a[i], a double of an array", "two fields of a record",
    "x + x, 10 elements", "x.sum(), 10 elements", "np.sqrt(2.0)", "jv(1.0, x)",
    "list of floats to array, each", "array to list, each", "80 MB to the guest",
    "80 MB to the host", "Nelder-Mead, a step",
)  # fmt: skip
FEW = 3  # rounds, of what is slow


def starters(options: Any, guest: str) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """What starts the worker of each column, and the versions behind it."""
    start: dict[str, Any] = {}
    found = {}
    for python in (guest, *options.native):
        facts = versions(python)
        name = "CPython " + ".".join(facts["python"].split(".")[:2])
        start[name], found[name] = partial(Worker, python, "native"), facts
    start["pybridge"] = partial(Worker, sys.executable, "bridge")
    if options.pypy:
        found["cpyext"] = versions(options.pypy, "execnet", "rpyc")
        start["cpyext"] = partial(Worker, options.pypy, "cpyext")
        for name in ("execnet", "rpyc"):
            start[name] = partial(Worker, options.pypy, name, pinned=False, BENCH_REMOTE=guest)
    return start, found


def measured(row: str, workers: dict[str, Worker], rounds: int) -> dict[str, Any]:
    """Nanoseconds by column: the least and the median.  Workers that are stuck are left out,
    and taken from `workers`."""
    slices: dict[str, list[float]] = {
        name: [] for name, worker in workers.items() if row in worker.rows
    }
    for turn in range(-1, rounds):
        for name, times in list(slices.items()):
            worker = workers[name]
            try:
                if turn < 0:
                    worker.calibrate(row)
                elif turn < FEW or times[0] * worker.counts[row] < 4e9 * SLICE:
                    times.append(worker.slice(row))
            except Stuck as error:
                print(error)
                del slices[name], workers[name]
    return {
        name: {"min_ns": min(t), "median_ns": statistics.median(t), "rounds": len(t)}
        for name, t in slices.items()
    }


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--native", action="append", default=[])
    parser.add_argument("--pypy", default="")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--only", default="", help="rows whose name has this text")
    options = parser.parse_args()
    guest = os.environ.get("PYBRIDGE_PYTHON")
    if not guest:
        raise SystemExit("set PYBRIDGE_PYTHON to the guest's python (make bench-all does)")
    options.native = [os.path.abspath(python) for python in options.native]
    start, found = starters(options, os.path.abspath(guest))
    workers: dict[str, Worker] = {}
    table = []
    print(f"{'':32}" + "".join(f"{name:>14}" for name in start))
    for row in ROWS:
        if options.only not in row:
            continue
        for name in start:
            if name not in workers:
                workers[name] = start[name]()
        columns = measured(row, workers, options.rounds)
        table.append({"row": row, "columns": columns})
        cells = [
            time_text(columns[name]["min_ns"]) if name in columns else "" for name in start
        ]
        print(f"{row:32}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
    for worker in workers.values():
        worker.end()
    if not options.only:
        keep("columns", {"machine": machine(), "versions": found, "rows": table})


main()
