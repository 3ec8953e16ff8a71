# SPDX-License-Identifier: MIT
"""Two interpreters, two locks: what two cores give; and the start of whole processes.

    PYBRIDGE_PYTHON=.venv-guest/bin/python .venv-host/bin/python benchmarks/cores.py

    half host, half guest    a host loop, and Python code of the guest as long as that, by
                             pybridge.submit: one after the other against both at once
    two numpy kernels        sums of sines that release the guest's lock, on two threads
    start                    `scipy.special` and one call, `math.sqrt`: wall time of a process,
                             against the guest's own

One after the other and at once take turns; the best of each counts, beside the median.  On
a machine with other work the figures are those of what it leaves.  Data go to
benchmarks/results/cores.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from typing import Any, Callable

from machine import environment, keep, machine, versions

GUEST = """
def count(n):
    total = 0
    for i in range(n):
        total += i & 7
    return total
"""
STARTS = {
    "math": "import math; math.sqrt(2.0)",
    "scipy.special": "import scipy.special; scipy.special.jv(1.0, 0.5)",
}
START_GOALS = {"math": 1.9, "scipy.special": 1.12}


def host_loop(n: int) -> float:
    """Something that PyPy compiles."""
    x = 0.5
    for _ in range(n):
        x = 3.7 * x * (1.0 - x)
    return x


def seconds(f: Callable[[], Any]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    f()
    return time.perf_counter() - begin


def compared(serial: Callable[[], Any], both: Callable[[], Any], rounds: int) -> dict[str, Any]:
    """How many times faster the second is."""
    serial()
    both()
    pairs = [(seconds(serial), seconds(both)) for _ in range(rounds)]
    ones, twos = zip(*pairs)
    return {
        "serial_s": min(ones),
        "both_s": min(twos),
        "speed_up": min(ones) / min(twos),
        "median_speed_up": statistics.median(one / two for one, two in pairs),
        "goal": 1.8,
    }


def parallel(rounds: int) -> dict[str, Any]:
    """The two rows of this process."""
    import pybridge

    names: dict[str, Any] = {}
    pybridge.exec(GUEST, names)
    count = names["count"]
    times = 1_000_000
    host_loop(times)
    there = min(seconds(lambda: count(5_000_000)) for _ in range(3))
    here = min(seconds(lambda: host_loop(times)) for _ in range(3))
    times = int(times * there / here)  # as long as the guest's

    def serial() -> None:
        count(5_000_000)
        host_loop(times)

    def both() -> None:
        future = pybridge.submit(count, 5_000_000)
        host_loop(times)
        future.result()

    found = {"half host, half guest": compared(serial, both, rounds)}
    try:
        np = pybridge.import_module("numpy")
    except ImportError:
        return found
    a, b = np.arange(2e6), np.arange(2e6)
    sin = np.sin

    def one_by_one() -> None:
        sin(a)
        sin(b)

    def at_once() -> None:
        futures = [pybridge.submit(sin, x) for x in (a, b)]
        for future in futures:
            future.result()

    found["two numpy kernels"] = compared(one_by_one, at_once, rounds)
    return found


def starts(guest: str, rounds: int) -> dict[str, Any]:
    """Milliseconds of whole processes, native and by `pybridge run`."""
    found = {}
    env = dict(environment(), PYBRIDGE_PYTHON=guest)
    for name, text in STARTS.items():
        through = f"import pybridge; m = pybridge.import_module({name!r}); " + (
            "m.sqrt(2.0)" if name == "math" else "m.jv(1.0, 0.5)"
        )
        commands = [[guest, "-c", text], [sys.executable, "-c", through]]
        pairs = [
            [seconds(partial(subprocess.run, c, env=env, check=True)) for c in commands]
            for _ in range(rounds + 1)
        ][1:]
        own, ready = zip(*pairs)
        found[name] = {
            "native_ms": min(own) * 1e3,
            "bridge_ms": min(ready) * 1e3,
            "ratio": min(ready) / min(own),
            "median_ratio": statistics.median(ready) / statistics.median(own),
            "goal": START_GOALS[name],
        }
    return found


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    guest = os.environ.get("PYBRIDGE_PYTHON")
    if not guest:
        raise SystemExit("set PYBRIDGE_PYTHON to the guest's python")
    found = parallel(options.rounds)
    for name, r in found.items():
        met = "met" if r["speed_up"] >= r["goal"] else "MISSED"
        print(
            f"{name:24} {r['serial_s'] * 1e3:6.0f} ms {r['both_s'] * 1e3:6.0f} ms "
            f"{r['speed_up']:5.2f} x, median {r['median_speed_up']:.2f}   >= {r['goal']} {met}"
        )
    begun = starts(guest, options.rounds)
    for name, r in begun.items():
        met = "met" if r["ratio"] <= r["goal"] else "MISSED"
        print(
            f"start to {name:15} {r['native_ms']:6.0f} ms {r['bridge_ms']:6.0f} ms "
            f"{r['ratio']:5.2f}, median {r['median_ratio']:.2f}   <= {r['goal']} {met}"
        )
    keep(
        "cores",
        {"machine": machine(), "versions": versions(guest), "cores": found, "starts": begun},
    )


main()
