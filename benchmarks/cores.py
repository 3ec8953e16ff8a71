# SPDX-License-Identifier: MIT
"""Two interpreters, two locks: what two cores give.

    PYBRIDGE_PYTHON=.venv-guest/bin/python .venv-host/bin/python benchmarks/cores.py

    half host, half guest    a host loop, and Python code of the guest as long as that, by
                             pybridge.submit: one after the other against both at once
    two numpy kernels        sums of sines that release the guest's lock, on two threads

One after the other and at once take turns; the best of each counts, beside the median.  On
a machine with other work the figures are those of what it leaves.  Data go to
benchmarks/results/cores.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any, Callable

from machine import keep, machine, versions

GUEST = """
def count(n):
    total = 0
    for i in range(n):
        total += i & 7
    return total
"""


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
    keep("cores", {"machine": machine(), "versions": versions(guest), "cores": found})


main()
