# SPDX-License-Identifier: MIT
"""What a figure depends on, for the files under benchmarks/results/."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
_VERSIONS = """
import json, platform, sys
versions = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        versions[name] = str(__import__(name).__version__)
    except (ImportError, AttributeError):
        pass
print(json.dumps(versions))
"""


def environment() -> dict[str, str]:
    """For child interpreters: compiled modules are kept, as in an installed package; numpy's
    libraries start no threads, which would be counted."""
    env = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        env.pop(name, None)
    return env


def versions(python: str, *others: str) -> dict[str, str]:
    """Of an interpreter and of its numpy, its scipy, and others."""
    names = ("numpy", "scipy", *others)
    command = [python, "-c", _VERSIONS, *names]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, str] = json.loads(out.stdout)
    return found


def machine() -> dict[str, Any]:
    """Processor, cores, load, system, and the host's version."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    host: Any = getattr(sys, "pypy_version_info", None)
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": model,
        "cores": os.cpu_count(),
        "load": [round(x, 1) for x in os.getloadavg()],
        "system": platform.platform(),
        "host": f"{platform.python_implementation()} "
        + (".".join(map(str, host[:3])) if host else platform.python_version()),
    }


def keep(name: str, data: dict[str, Any]) -> None:
    """Write benchmarks/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")


def time_text(ns: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("ns", 1.0), ("us", 1e3), ("ms", 1e6)):
        if ns < 999.5 * size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns / 1e9:.3g} s"
