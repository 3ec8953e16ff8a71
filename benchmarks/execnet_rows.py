# SPDX-License-Identifier: MIT
"""The rows that a program can have by messages to a CPython in another process.

execnet has no proxies: each operation is a message there and one back, and arrays stay there.
"""

from __future__ import annotations

from array import array
from typing import Any, Callable

SERVER = """
import functools, math
names = {}
exec(channel.receive(), names)
try:
    import numpy as np
    from scipy import special
    ten, a, large = np.arange(10.0), np.arange(1000.0), np.zeros(100_000)
except ImportError:
    pass
tasks = {
    "sqrt": math.sqrt, "f": names["f"], "x": lambda: names["point"].x,
    "m": lambda i: names["point"].m(i), "get": lambda i: names["hundred"][i],
    "list": lambda: names["numbers"], "same": names["same"], "element": lambda i: float(a[i]),
    "add": lambda: (ten + ten).tolist(), "sum": lambda: float(ten.sum()),
    "np.sqrt": lambda x: float(np.sqrt(x)), "jv": lambda v, x: float(special.jv(v, x)),
    "array": lambda l: len(np.array(l)), "tolist": lambda: large.tolist(),
    "memory": lambda b: len(np.frombuffer(b)), "back": lambda: np.zeros(10_000_000).tobytes(),
}
for name, args in channel:
    channel.send(tasks[name](*args))
"""


def make(python: str, guest: str) -> dict[str, Callable[[int], None]]:
    """By name; `guest` is the text of the functions that rows.py measures."""
    import execnet

    channel: Any = execnet.makegateway(f"popen//python={python}").remote_exec(SERVER)
    channel.send(guest)
    floats = [float(i) for i in range(100_000)]
    memory = array("d", bytes(80_000_000)).tobytes()

    def ask(name: str, *args: Any) -> Any:
        channel.send((name, args))
        return channel.receive()

    def row(name: str, *args: Any, every: int = 1) -> Callable[[int], None]:
        def repeat(n: int) -> None:
            for _ in range(n // every or 1):
                ask(name, *args)

        return repeat

    return {
        "sqrt(x)": row("sqrt", 2.5),
        "f(x), a guest function": row("f", 2.5),
        "point.x, an int": row("x"),
        "o.m(1)": row("m", 1),
        "list get": row("get", 50),
        "for x in a list": row("list", every=1000),
        "text, 10 there and back": row("same", "abcdefghij"),
        "text, 1000 there and back": row("same", "abcdefghij" * 100),
        "text, 1M there and back": row("same", "abcdefghij" * 100_000),
        "text, 1M Cyrillic there and back": row("same", "абвгдежзий" * 100_000),
        "a[i], a double of an array": row("element", 500),
        "x + x, 10 elements": row("add"),
        "x.sum(), 10 elements": row("sum"),
        "np.sqrt(2.0)": row("np.sqrt", 2.0),
        "jv(1.0, x)": row("jv", 1.0, 0.7),
        "list of floats to array, each": row("array", floats, every=100_000),
        "array to list, each": row("tolist", every=100_000),
        "80 MB to the guest": row("memory", memory),
        "80 MB to the host": row("back"),
    }
