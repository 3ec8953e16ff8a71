# SPDX-License-Identifier: MIT
"""Every row on every way to have CPython's packages from a program, side by side.

    PYBRIDGE_PYTHON=.venv-guest/bin/python .venv-host/bin/python benchmarks/columns.py \\
        [--native PYTHON ...] [--pypy PYTHON] [--rounds N] [--only TEXT]

    CPython     alone: the guest's, and each --native
    pybridge    this interpreter, with the same as its guest
    cpyext      --pypy, a PyPy with a numpy of its own (and with execnet and rpyc)
    execnet     --pypy, which sends messages to the guest's CPython in a process of its own
    rpyc        likewise, by proxies

All take turns, 12 ms each after 0.4 s to warm up, on one core, but those of two processes,
which may use two.  What takes longer than 12 ms each time is done a few times only.  Data go
to benchmarks/results/columns.json; benchmarks/report.py makes tables of them.  Starts are the
time of whole processes, the least of several.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import Any

from goals import GOALS
from machine import environment, keep, machine, time_text, versions
from workers import HERE, SLICE, Stuck, Worker

FEW = 3  # rounds, of what is slow
STARTS = {  # whole processes, by the clock
    "start to math.sqrt": ("math", "m.sqrt(2.0)"),
    "start to scipy.special": ("scipy.special", "m.jv(1.0, 0.5)"),
}
_IMPORT = "import {0} as m; "


def _name(python: str) -> str:
    return "CPython " + ".".join(versions(python)["python"].split(".")[:2])


def _through(name: str) -> str:
    return name.replace("CPython", "pybridge")


def starters(options: Any, guest: str) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """What starts the worker of each column, and the versions behind it."""
    start: dict[str, Any] = {}
    found = {}
    for python in (guest, *options.native):
        name = _name(python)
        start[name], found[name] = partial(Worker, python, "native"), versions(python)
        start[_through(name)] = partial(
            Worker, sys.executable, "bridge", PYBRIDGE_PYTHON=python
        )
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


def started(
    row: str, imports: dict[str, tuple[str, str]], env: dict[str, str], rounds: int
) -> Any:
    """As `measured`, of processes that begin, import, call once and end; `imports`: by column
    the interpreter and its way to import."""
    module, call = STARTS[row]
    times: dict[str, list[float]] = {name: [] for name in imports}
    for turn in range(-1, rounds):
        for name, (python, text) in imports.items():
            begin = time.perf_counter_ns()
            done = subprocess.run(
                [python, "-c", text.format(module) + call], env=env, capture_output=True
            )
            if done.returncode != 0:
                times.pop(name, None)  # PyPy has no scipy
            elif turn >= 0:
                times[name].append(time.perf_counter_ns() - begin)
        imports = {name: imports[name] for name in times}
    return {
        name: {"min_ns": min(t), "median_ns": statistics.median(t), "rounds": rounds}
        for name, t in times.items()
    }


def importers(options: Any, guest: str) -> dict[str, tuple[str, str]]:
    """By column: the interpreter, and how a module becomes `m` there."""
    found = {_name(python): (python, _IMPORT) for python in (guest, *options.native)}
    for python in (guest, *options.native):
        found[_through(_name(python))] = (
            sys.executable,
            f"import pybridge; pybridge.start({python!r}); "
            "m = pybridge.import_module({0!r}); ",
        )
    if options.pypy:
        found["cpyext"] = (options.pypy, _IMPORT)
        found["rpyc"] = (
            options.pypy,
            f"import sys; sys.path.insert(0, {str(HERE)!r}); from sides import side_of; "
            "m = side_of('rpyc').load({0!r}); ",
        )
    return found


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--native", action="append", default=[])
    parser.add_argument("--pypy", default="")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--only", default="", help="rows whose name has this text")
    options = parser.parse_args()
    guest = os.environ.get("PYBRIDGE_PYTHON", "")
    if not guest:
        raise SystemExit("set PYBRIDGE_PYTHON to the guest's python (make bench-all does)")
    guest = os.path.abspath(guest)
    options.native = [os.path.abspath(python) for python in options.native]
    start, found = starters(options, guest)
    workers: dict[str, Worker] = {}
    table = []
    print(f"{'':32}" + "".join(f"{name:>14}" for name in start))

    def note(row: str, columns: dict[str, Any]) -> None:
        table.append({"row": row, "columns": columns})
        cells = [
            time_text(columns[name]["min_ns"]) if name in columns else "" for name in start
        ]
        print(f"{row:32}" + "".join(f"{cell:>14}" for cell in cells), flush=True)

    for row in GOALS:
        if options.only not in row:
            continue
        for name in start:
            if name not in workers:
                workers[name] = start[name]()
        note(row, measured(row, workers, options.rounds))
    for worker in workers.values():
        worker.end()
    env = {**environment(), "PYBRIDGE_PYTHON": guest, "BENCH_REMOTE": guest}
    for row in STARTS:
        if options.only in row:
            imports = importers(options, guest)
            note(row, started(row, imports, env, options.rounds // 3))
    if not options.only:
        keep("columns", {"machine": machine(), "versions": found, "rows": table})


main()
