# SPDX-License-Identifier: MIT
"""Child interpreters that run slices of a row on request, in turns."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from pathlib import Path

from machine import environment

HERE = Path(__file__).resolve().parent
SLICE = 0.012  # seconds
MOST = 10**8  # operations
WARM = 0.4  # seconds
STUCK = 60.0  # seconds


def _pinned() -> list[str]:
    """A command that keeps the child on one core, where there is such a command."""
    core = (os.cpu_count() or 1) - 1
    return ["taskset", "-c", str(core)] if shutil.which("taskset") else []


class Stuck(Exception):
    """A worker did not answer: rpyc on PyPy, whose proxies send messages when they are
    collected, now and then waits for itself."""


class Worker:
    """A child interpreter that runs slices on request."""

    def __init__(self, python: str, kind: str, pinned: bool = True, **env: str) -> None:
        self.kind = kind
        self.process = subprocess.Popen(
            [*(_pinned() if pinned else ()), python, str(HERE / "worker.py"), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(), **env},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("["):
            raise SystemExit(f"{python} did not begin as {kind}")
        self.rows: list[str] = json.loads(line)
        self.counts: dict[str, int] = {}

    def run(self, row: str, n: int) -> float:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{row}\t{n}\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], STUCK)[0]:
            self.process.kill()
            raise Stuck(f"{self.kind} does not answer in {row!r}")
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} died in {row!r}")
        return float(line)

    def calibrate(self, row: str) -> None:
        """Warm the row up, and find how many operations fill a slice."""
        step = n = _step(row)
        self.run(row, n)  # loads what it needs
        taken = self.run(row, n)
        while taken < SLICE and n < MOST:
            n *= 4
            taken = self.run(row, n)
        total = taken
        while total < WARM:
            again = self.run(row, n)
            taken = min(taken, again)
            total += again
        self.counts[row] = max(step, int(n * SLICE / max(taken, 1e-6)) // step * step)

    def slice(self, row: str) -> float:
        """Nanoseconds per operation, over one slice."""
        n = self.counts[row]
        return self.run(row, n) / n * 1e9

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def _step(row: str) -> int:
    """The least that a row does: so many operations."""
    if row.endswith("each"):
        return 100_000
    return 1 if "1M" in row or "MB" in row else 1000
