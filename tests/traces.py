# SPDX-License-Identifier: MIT
"""The operations of a compiled loop, for tests that say what a fast path compiles to.

    trace = traces.loop('''
        import pybridge
        sqrt = pybridge.import_module("math").sqrt

        def measured(n):
            for _ in range(n):
                sqrt(2.5)
    ''')
    assert trace.calls == ["call_release_gil_i"]

The snippet defines `measured(n)`, which is run long enough to be compiled in a child with
PyPy's log on (PYPYLOG=jit-log-opt).  `loop` gives the body of its loop: the operations after
the last label, which is what runs each time round.  Names of operations are looked at, not
whole lines: those contain addresses.
"""

from __future__ import annotations

import os
import re
import tempfile
import textwrap
from pathlib import Path
from typing import Callable, NamedTuple

import children

_TRACE = re.compile(
    r"# Loop \d+ \(measured;.*?\) : loop with \d+ ops\n(?P<body>.*?)--end of the loop--",
    re.DOTALL,
)
_ENTRY = (
    r"# Loop \d+ \(cffi_call_python pybridge._core.%s\)[^\n]*\n(?P<body>.*?)--end of the loop--"
)
_ENTRY_LOOP = re.compile(
    r"# Loop \d+ \(entry;<pybridge entry point>[^\n]*: loop with \d+ ops\n"
    r"(?P<body>.*?)--end of the loop--",
    re.DOTALL,
)
_OPERATION = re.compile(r"(?:\+\d+: )?(?:[a-z]\d+ = )?(?P<name>[a-z_0-9]+)\(")
# PyPy looks for signals and finalizers every so often; the loop that is being traced then has
# that in it.
_INTERRUPTED = ("_poll_for_signals", "_run_finalizers")
_TRIES = 12
# Rare calls that a list makes when it must grow or shrink: a comparison each time round.
_RESIZE = "cond_call"


class Trace(NamedTuple):
    """One loop: its operations in order, and the lines that they stood on."""

    operations: list[str]
    lines: list[str]

    @property
    def calls(self) -> list[str]:
        """What is called each time round."""
        return [op for op in self.operations if "call" in op and op != _RESIZE]

    @property
    def allocations(self) -> list[str]:
        """What is allocated each time round."""
        return [op for op in self.operations if op.startswith("new")]

    @property
    def guards(self) -> int:
        """How many guards there are."""
        return sum(op.startswith("guard") for op in self.operations)

    def text(self) -> str:
        """The loop as PyPy wrote it, for a failure report."""
        return "\n".join(self.lines)


def loop(snippet: str, n: int = 30000, rare: tuple[str, ...] = ()) -> Trace:
    """The last loop compiled for the snippet's `measured`, run n times round.  With a line that
    has one of `rare` the recording met a seldom moment, a full sweep say: another is made."""
    return _compiled(snippet, n, parse, rare)


def entry(snippet: str, name: str, n: int = 30000) -> Trace:
    """What C's calls of entry point `name` of the host run, as compiled first."""
    return _compiled(snippet, n, lambda log: parse_entry(log, name))


def entry_loop(snippet: str, n: int = 300) -> Trace:
    """The last loop compiled of those that an entry point of the host's has."""
    return _compiled(snippet, n, lambda log: parse(log, _ENTRY_LOOP))


def _compiled(
    snippet: str, n: int, parse: Callable[[str], Trace], rare: tuple[str, ...] = ()
) -> Trace:
    text = textwrap.dedent(snippet)
    # The files of imported modules are finalized when a major collection ends, which it may
    # while the loop is recorded; no number of jumps shifts that.
    text += "\nimport gc\ngc.collect(), gc.collect()\n"
    for attempt in range(_TRIES):
        # PyPy counts jumps between two looks: a few more shift them out of the recording.
        text += f"\nfor _ in range({attempt * 7}): pass\n"
        trace = parse(log(f"{text}\nmeasured({n})\n"))
        if not any(name in line for line in trace.lines for name in _INTERRUPTED + rare):
            break
    return trace


def log(snippet: str) -> str:
    """What PyPy compiled while it ran the snippet."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log"
        children.run(snippet, env=dict(os.environ, PYPYLOG=f"jit-log-opt:{file}"))
        return file.read_text(errors="replace")


def parse_entry(log: str, name: str) -> Trace:
    """The trace of an entry point in a log."""
    found = re.search(_ENTRY % re.escape(name), log, re.DOTALL)
    assert found, f"PyPy compiled no {name}"
    return _trace(["label()", *found.group("body").splitlines()])


def parse(log: str, which: re.Pattern[str] = _TRACE) -> Trace:
    """The last loop of `measured` in a log, or another."""
    found = list(which.finditer(log))
    assert found, f"PyPy compiled no such loop: {which.pattern[:40]}"
    return _trace(found[-1].group("body").splitlines())


def _trace(lines: list[str]) -> Trace:
    labels = [i for i, line in enumerate(lines) if "label(" in line]
    body = [line for line in lines[labels[-1] + 1 :] if "debug_merge_point" not in line]
    matches = [(_OPERATION.match(line), line) for line in body]
    names = [m.group("name") for m, _ in matches if m]
    boring = ("force_token", "enter_portal_frame", "leave_portal_frame", "jump")
    return Trace([n for n in names if n not in boring], [line for m, line in matches if m])
