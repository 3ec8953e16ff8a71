# SPDX-License-Identifier: MIT
"""Make a program parallel without using threads: transactions over guest calls.

A queue holds transactions, functions that may add more.  `run` runs them on the workers of
`pybridge.submit`, several at once, and applies what each gives back one after another, so the
result is that of some serial order.  What one raises is reported with its transaction.

Here the transactions cut an interval in half until the guest's scipy integrates each part
well enough, and the parts are added up: the work finds its own shape as it goes.
"""

from __future__ import annotations

import math
import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, Callable

import pybridge

OUT = Path(os.environ.get("PYBRIDGE_DEMOS_OUT") or Path(__file__).resolve().parent / "out")
Transaction = Callable[["TransactionQueue"], Any]


class TransactionFailed(Exception):
    """A transaction raised; `transaction` says which, the cause says what."""

    def __init__(self, transaction: tuple[Any, ...]) -> None:
        super().__init__(f"transaction {transaction[0].__name__}{transaction[1:]} failed")
        self.transaction = transaction


class TransactionQueue:
    """Transactions that may run at the same time, and whose results are taken in turn."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Any, ...]] = []
        self.count = 0

    def add(self, function: Callable[..., Any], *args: Any) -> None:
        """Add a transaction: `function(*args)` is called on a worker.  If it gives a function,
        that one is called with the queue on the calling thread, alone: there it changes what
        is shared, and adds more transactions."""
        self._waiting.append((function, *args))

    def run(self) -> None:
        """Run until there are no more."""
        running: dict[Future[Any], tuple[Any, ...]] = {}
        while self._waiting or running:
            for transaction in self._waiting:
                running[pybridge.submit(*transaction)] = transaction
            self._waiting = []
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                transaction = running.pop(future)
                try:
                    commit = future.result()
                except Exception as error:
                    for other in running:
                        other.cancel()
                    raise TransactionFailed(transaction) from error
                self.count += 1
                if commit is not None:
                    commit(self)


def main() -> None:
    """Integrate a function with many sharp hills, in parallel."""
    names: dict[str, Any] = {}
    pybridge.exec(
        "from math import sin, exp\n"
        "def simpson(a, b, n):\n"
        "    h = (b - a) / n\n"
        "    f = lambda x: sin(x * x) * exp(-x / 5) + 1 / (1e-3 + (x % 1 - .3) ** 2)\n"
        "    total = f(a) + f(b)\n"
        "    for i in range(1, n):\n"
        "        total += f(a + i * h) * (4 if i % 2 else 2)\n"
        "    return total * h / 3\n",
        names,
    )
    simpson = names["simpson"]
    parts: list[float] = []

    def part(a: float, b: float, depth: int) -> Callable[[TransactionQueue], None]:
        coarse, fine = simpson(a, b, 200), simpson(a, b, 400)

        def commit(queue: TransactionQueue) -> None:
            if abs(coarse - fine) < 1e-9 * (b - a) or depth > 12:
                parts.append(fine)
            else:
                middle = (a + b) / 2
                queue.add(part, a, middle, depth + 1)
                queue.add(part, middle, b, depth + 1)

        return commit

    queue = TransactionQueue()
    begin = time.perf_counter()
    queue.add(part, 0.0, 10.0, 0)
    queue.run()
    seconds = time.perf_counter() - begin
    total = math.fsum(parts)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "transactions.txt").write_text(f"{total!r}\n")
    print(
        f"transactions: {queue.count} transactions on {len(parts)} parts, integral "
        f"{total:.9f}, {seconds * 1e3:.0f} ms; {sys.implementation.name} as host"
    )


if __name__ == "__main__":
    main()
