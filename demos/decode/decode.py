# SPDX-License-Identifier: MIT
"""Decode a million messages in five ways, here and on CPython, and draw what each takes.

The messages are a numpy structured array in the guest's memory; `decoders.py` has the ways.
On PyPy each runs in a process of its own with PyPy's log on, from which the operations of its
loop are counted; the guest's own interpreter runs the same decoders in one more process.

`decode.py [MESSAGES]`; about 20 seconds for a million.  Prints a table and a line that says
what was found, and leaves demos/out/decode.png.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import decoders

import pybridge

HERE = Path(__file__).resolve().parent
OUT = Path(os.environ.get("PYBRIDGE_DEMOS_OUT") or HERE.parent / "out")
_LOOP = re.compile(r"# Loop \d+ \(measured;.*?\n(.*?)--end of the loop--", re.DOTALL)
# These compile to nothing.
_NOTHING = ("debug_merge_point", "force_token", "enter_portal_frame", "leave_portal_frame")
_OPERATION = re.compile(r"(?:\+\d+: )?(?:[a-z]\d+ = )?([a-z_0-9]+)\(")


def run(python: str, where: str, n: int, numbers: list[int], log: str = "") -> dict[str, Any]:
    """What worker.py says, run by `python`."""
    env = dict(os.environ)
    for name in ("PYTHONPATH", "PYTHONHOME"):
        env.pop(name, None)
    if log:
        env["PYPYLOG"] = f"jit-log-opt:{log}"
    worker = [python, str(HERE / "worker.py"), where, str(n), *map(str, numbers)]
    done = subprocess.run(worker, env=env, stdout=subprocess.PIPE, check=True, timeout=300)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def operations(log: Path) -> int:
    """How many operations the last loop of `measured` has each time round."""
    loops = _LOOP.findall(log.read_text(errors="replace"))
    if not loops:
        return 0
    lines = loops[-1].splitlines()
    labels = [i for i, line in enumerate(lines) if "label(" in line]
    body = [_OPERATION.match(line) for line in lines[labels[-1] + 1 :]]
    return sum(m is not None and m[1] not in _NOTHING for m in body)


def on_host(n: int) -> tuple[dict[str, Any], list[int]]:
    """Each decoder in a process of its own; the sizes of their loops."""
    results: dict[str, Any] = {}
    sizes = []
    for number in range(len(decoders.DECODERS)):
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            pypy = sys.implementation.name == "pypy"
            results.update(run(sys.executable, "host", n, [number], str(log) if pypy else ""))
            sizes.append(operations(log) if pypy else 0)
    return results, sizes


def draw(host: list[float], native: list[float], sizes: list[int]) -> Path:
    """The picture: nanoseconds a message, on a logarithmic scale."""
    matplotlib = pybridge.import_module("matplotlib")
    matplotlib.use("Agg")
    plt = pybridge.import_module("matplotlib.pyplot")
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    rows = list(range(len(host)))
    axes.barh([y + 0.2 for y in rows], native, 0.38, color="#b9b4a7", label="CPython")
    axes.barh([y - 0.2 for y in rows], host, 0.38, color="#2a6f97", label="here")
    for y, ns, size, other in zip(rows, host, sizes, native):
        text = f" {ns:.1f} ns" + (f", {size} operations" if size else "")
        axes.text(ns, y - 0.2, text, va="center", fontsize=9)
        axes.text(other, y + 0.2, f" {other:.0f} ns", va="center", fontsize=9)
    axes.set_yticks(rows, [f"{i}  {name}" for i, name in enumerate(decoders.NAMES)])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(min(host) / 2, max(native) * 6)
    axes.set_xlabel("nanoseconds a message")
    axes.set_title("Decoding messages in a numpy structured array")
    axes.legend(loc="upper right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "decode.png"
    figure.savefig(str(path), dpi=130)
    plt.close(figure)
    return path


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    guest = pybridge.import_module("sys")
    native = run(str(guest.executable), "native", n, list(range(5)))
    host, sizes = on_host(n)
    print(
        f"{'ns a message':24}{'here':>10}{'CPython':>10}{'ratio':>8}   operations in the loop"
    )
    for i, name in enumerate(decoders.NAMES):
        here, there = host[str(i)][0], native[str(i)][0]
        size = sizes[i] or "-"
        print(f"{i}  {name:21}{here:10.1f}{there:10.1f}{there / here:7.0f}x   {size}")
    sums = [host[str(i)][1] for i in range(5)] + [native[str(i)][1] for i in range(5)]
    numpy_sum = native["numpy"]
    same = len(set(sums)) == 1
    # numpy adds in another order
    close = max(abs(x - numpy_sum) for x in sums) < 1e-6 * n
    path = draw(
        [host[str(i)][0] for i in range(5)], [native[str(i)][0] for i in range(5)], sizes
    )
    best = min(native[str(i)][0] for i in range(5))
    print(
        f"decode: {n:,} messages, sum {sums[0]:.6f} in all decoders on both sides: "
        f"{'yes' if same and close else 'NO'}; records {host['4'][0]:.2f} ns, "
        f"{best / host['4'][0]:.0f} times faster than the fastest on CPython "
        f"{'.'.join(map(str, tuple(guest.version_info)[:2]))}; {path.name}"
    )


if __name__ == "__main__":
    main()
