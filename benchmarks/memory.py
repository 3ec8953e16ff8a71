# SPDX-License-Identifier: MIT
"""What proxies cost in memory, and that loops do not grow.

    PYBRIDGE_PYTHON=.venv-guest/bin/python .venv-host/bin/python benchmarks/memory.py

Each figure is the growth of a child's resident memory.  Of a proxy: a million guest objects
with their proxies, less what the same objects take in the guest alone.  Of a loop: what it adds
in its second half.  Data go to benchmarks/results/memory.json.
"""

from __future__ import annotations

import os
import subprocess
import sys

from machine import environment, keep, machine, versions

COMMON = """
import gc, os
def resident():
    for _ in range(3): gc.collect()
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
N = 1_000_000
"""
NATIVE = """
class Thing:
    __slots__ = ("x",)
def make(n): return [Thing() for i in range(n)]
"""
THINGS = """
import pybridge
names = {}
pybridge.exec(NATIVE, names)
Thing, make = names["Thing"], names["make"]
kept = [Thing() for i in range(1000)]
"""
SIZES = {
    # (text, what to divide by, goal)
    "a proxy of an object that the host alone has": (
        THINGS
        + """
before = resident()
there = make(N)
alone = resident() - before
before = resident()
kept = [Thing() for i in range(N)]
print((resident() - before - alone) / N)
""",
        64.0,
    ),
    "a proxy of an object that the guest has too": (
        THINGS
        + """
there = make(N)
before = resident()
kept = list(there)
print((resident() - before) / N)
""",
        None,
    ),
    "a million pybridge.view(a) of an array, in MB": (
        """
import pybridge
a = pybridge.eval("__import__('array').array('d', range(1000))")
kept = [pybridge.view(a) for i in range(1000)]
before = resident()
kept = [pybridge.view(a) for i in range(N)]
print((resident() - before) / 1e6)
""",
        200.0,
    ),
    "a million a[1:] of an array, in MB": (
        """
import pybridge
np = pybridge.import_module("numpy")
a = np.zeros(1000)
kept = [a[1:] for i in range(1000)]
before = resident()
kept = [a[1:] for i in range(N)]
print((resident() - before) / 1e6)
""",
        200.0,
    ),
    "the same on native CPython": (
        """
import numpy as np
a = np.zeros(1000)
kept = [a[1:] for i in range(1000)]
before = resident()
kept = [a[1:] for i in range(N)]
print((resident() - before) / 1e6)
""",
        None,
    ),
}
GROWTH = """
import sys; sys.path.insert(0, HERE)
from rows import make
from sides import side_of
for name, row in sorted(make(side_of("bridge")).items()):
    step = 100_000 if name.endswith("each") else (1 if "1M" in name or "MB" in name else 1000)
    times = 300 if step == 1 else 30
    for _ in range(times): row(step)
    before = resident()
    for _ in range(times): row(step)
    print(f"{name}\\t{resident() - before}", flush=True)
"""


def child(python: str, text: str) -> str:
    """What a text prints."""
    text = COMMON + f"NATIVE, HERE = {NATIVE!r}, {os.path.dirname(__file__) or '.'!r}\n" + text
    done = subprocess.run(
        [python, "-c", text], env=environment(), check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def main() -> None:
    """Measure, print, keep."""
    guest = os.environ.get("PYBRIDGE_PYTHON")
    if not guest:
        raise SystemExit("set PYBRIDGE_PYTHON to the guest's python")
    sizes, growth = {}, {}
    for name, (text, goal) in SIZES.items():
        python = guest if "native" in name else sys.executable
        sizes[name] = round(float(child(python, text)), 1)
        wanted = (
            ""
            if goal is None
            else f"<= {goal:g} " + ("met" if sizes[name] <= goal else "MISSED")
        )
        print(f"{name:48} {sizes[name]:8.1f}   {wanted}", flush=True)
    for line in child(sys.executable, GROWTH).splitlines():
        name, _, grown = line.partition("\t")
        growth[name] = int(grown)
    worst = max(growth, key=lambda name: growth[name])
    print(f"growth of {len(growth)} loops: most {growth[worst] / 1e3:.0f} KB, {worst}")
    keep(
        "memory",
        {"machine": machine(), "versions": versions(guest), "bytes": sizes, "growth": growth},
    )


main()
