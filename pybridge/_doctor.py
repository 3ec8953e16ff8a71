# SPDX-License-Identifier: MIT
"""`python -m pybridge doctor`: what was found and why, and does it work?

The report is made section by section.  Each is printed as soon as it is known, so that a
guest which ends the process at its start leaves a report that says how far it came; `--json`
prints them together at the end, as one object with the same sections:

    pybridge, host, settings, candidates, guest, symbols, packages, checks, ok, problems

The checks take about a second: a handful of claims, and the price of a few operations in
nanoseconds: the best of twenty short runs, so that other processes hardly show.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
import threading
from collections.abc import Iterator
from time import perf_counter
from typing import Any, Callable

from pybridge import __version__, _api, _discover, _origins, _runtime, _settings
from pybridge._core import ffi, lib
from pybridge._errors import BridgeError

Section = dict[str, Any]
_WARM = 0.1  # seconds, for the JIT
_RUN = 0.006
_RUNS = 20


def run(python: str | None, script: str | None, as_json: bool, names: list[str]) -> int:
    """Print the report and give the exit status.

    `python` as in `pybridge.start`.  `script`: take the settings of the pyproject.toml beside
    it, by default those of the environment alone.  `names`: the packages to tell of, by default
    those of the guest.
    """
    if script is not None:
        # Where the settings look for the running script: it is as if this one ran.
        sys.modules["__main__"].__file__ = os.path.abspath(script)
    report: Section = {}
    problems: list[str] = []
    for name, section in _sections(python, names, problems):
        report[name] = section
        if not as_json:
            print(_TEXTS[name](section), flush=True)
    report["ok"] = not problems
    report["problems"] = problems
    if as_json:
        import json

        print(json.dumps(report, indent=2))
    else:
        print("\n".join([f"problem: {each}" for each in problems] or ["all is well"]))
    return 1 if problems else 0


def _sections(
    python: str | None, names: list[str], problems: list[str]
) -> Iterator[tuple[str, Any]]:
    """Yield the sections in order, as far as it goes, and note what is wrong."""
    yield "pybridge", {"version": __version__, "path": os.path.dirname(__file__)}
    yield "host", _host()
    try:
        settings = _settings.load()
        yield "settings", _settings_in_force(settings)
        yield "candidates", _candidates(python, settings)
        begin = perf_counter()
        _api.start(python)
    except BridgeError as error:
        problems.append(f"{type(error).__name__}: {error}")
        return
    yield "guest", _guest(perf_counter() - begin)
    symbols = _symbols()
    if symbols["enabled"] and not symbols["selftest"]:
        problems.append("the self-test of the symbols did not pass")
    yield "symbols", symbols
    yield "packages", _origins.report(names)
    checks = [_checked(*each) for each in _CLAIMS]
    checks += [_timed(*each) for each in _LOOPS]
    problems += [f"check failed: {c['name']}: {c['error']}" for c in checks if not c["ok"]]
    yield "checks", checks


# ---- what there is --------------------------------------------------------------------------


def _host() -> Section:
    import _cffi_backend

    name = {"pypy": "PyPy", "cpython": "CPython"}.get(sys.implementation.name, "?")
    return {
        "implementation": name,
        "version": ".".join(map(str, _version())),
        "language": platform.python_version(),
        "executable": sys.executable,
        "cffi": _cffi_backend.__version__,
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "notes": [_LOSES_OBJECTS] if name == "PyPy" and _version() < (7, 3, 16) else [],
    }


def _version() -> tuple[int, ...]:
    """The host's, not that of the language."""
    return tuple(sys.implementation.version[:3])


# tests/test_host.py shows it.
_LOSES_OBJECTS = (
    "PyPy before 7.3.16 may free what list.extend has copied, while it collects; "
    "PYPY_GC_INCREMENT_STEP=64GB keeps it from that (docs/troubleshooting.md)"
)


def _settings_in_force(settings: _settings.Settings) -> Section:
    return {
        "python": settings.python,
        "python_source": settings.python_source,
        "isolate_symbols": settings.isolate_symbols,
    }


def _candidates(python: str | None, settings: _settings.Settings) -> list[Section]:
    return [
        {
            "source": each.source,
            "path": each.path,
            "chosen": each.chosen,
            "version": each.guest and ".".join(map(str, each.guest.version)),
            "reason": each.reason,
        }
        for each in _discover.survey(python, settings)
    ]


def _guest(seconds: float) -> Section:
    guest = _runtime.guest
    return {
        "version": ".".join(map(str, guest.version)),
        "executable": guest.executable,
        "library": guest.library,
        "prefix": guest.prefix,
        "debug": guest.debug,
        "found_and_started_ms": round(1000 * seconds, 1),
        "path": [str(each) for each in _api.import_module("sys").path],
    }


def _symbols() -> Section:
    words = ffi.new("pb_symbols *")
    lib.pb_symbols_read(words)
    return {
        "enabled": bool(words.enabled),
        "hidden": words.hidden,
        "prebound": words.prebound,
        "redirected": words.patched,
        "selftest": bool(words.selftest),
    }


# ---- what works -----------------------------------------------------------------------------


def _checked(name: str, claim: Callable[[], None]) -> Section:
    try:
        claim()
    except Exception as error:
        return {"name": name, "ok": False, "error": f"{type(error).__name__}: {error}"}
    return {"name": name, "ok": True}


def _timed(name: str, thing: str, loop: Callable[[Any, int], None]) -> Section:
    try:
        return {"name": name, "ok": True, "ns": round(_nanoseconds(_api.eval(thing), loop), 1)}
    except Exception as error:
        return {"name": name, "ok": False, "error": f"{type(error).__name__}: {error}"}


def _nanoseconds(thing: Any, loop: Callable[[Any, int], None]) -> float:
    """What one turn costs.  How many turns make a run is found out when the JIT is warm."""

    def seconds() -> float:
        begin = perf_counter()
        loop(thing, n)
        return perf_counter() - begin

    n, warm = 1000, perf_counter() + _WARM
    while perf_counter() < warm:
        loop(thing, n)
    while seconds() < _RUN:
        n *= 2
    return 1e9 * min(seconds() for _ in range(_RUNS)) / n


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def _values() -> None:
    same = _api.eval("lambda x: x")
    for x in (None, True, -1, 1 << 100, 0.1, 2j, "\0é\U0001f300", b"\0\xff", (1, ("a",)), ...):
        y = same(x)
        _expect(type(y) is type(x) and y == x, f"{x!r} came back as {y!r}")


def _guest_exception() -> None:
    try:
        _api.eval("1 // 0")
    except ZeroDivisionError:
        return
    raise AssertionError("1 // 0 raised nothing")


def _host_exception() -> None:
    sent = LookupError("sent through the guest")

    def fail() -> None:
        raise sent

    try:
        _api.eval("lambda f: f()")(fail)
    except LookupError as error:
        _expect(error is sent, "another object came back")
        return
    raise AssertionError("the exception was lost")


def _other_thread() -> None:
    answers = []
    ask = _api.eval("lambda: __import__('threading').get_ident()")
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    thread.join(10)
    _expect(answers != [] and answers[0] != ask(), f"its answer was {answers}")


_EMPTY = "type('Empty', (), {})"  # a class of the guest's


def _release() -> None:
    make = _api.eval(_EMPTY)
    before = _api.statistics().handles_open
    for _ in range(5000):
        make()
    gc.collect()
    left = _api.statistics().handles_open - before
    _expect(left < 500, f"{left} of 5000 objects were not released")


def _sqrt(sqrt: Any, n: int) -> None:
    x = 2.0
    for _ in range(n):
        x = sqrt(x) + 1.0


def _attribute(thing: Any, n: int) -> None:
    for _ in range(n):
        thing.x  # noqa: B018


def _callback(reduce: Any, n: int) -> None:
    reduce(lambda a, b: a + b, range(n), 0)


def _create(make: Any, n: int) -> None:
    for _ in range(n):
        make()


_CLAIMS = [
    ("values there and back", _values),
    ("an exception of the guest", _guest_exception),
    ("an exception of the host, through the guest", _host_exception),
    ("a call from another thread", _other_thread),
    ("objects are released", _release),
]
# What is measured: its name, the guest object that it is measured on, n turns of it.  No
# class of the host's own (the guest's `object` is the host's) nor a value: they never cross.
_LOOPS = [
    ("math.sqrt(x)", "__import__('math').sqrt", _sqrt),
    ("an attribute, an int", "__import__('types').SimpleNamespace(x=1)", _attribute),
    ("a host function, called by the guest", "__import__('functools').reduce", _callback),
    ("an object, made and dropped", _EMPTY, _create),
]


# ---- as text --------------------------------------------------------------------------------


def _block(title: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(left) for left, _ in rows)
    return "\n".join([title] + [f"  {left:{width}}  {right}".rstrip() for left, right in rows])


def _pybridge_text(s: Section) -> str:
    return _block("pybridge", [("version", s["version"]), ("path", s["path"])])


def _host_text(s: Section) -> str:
    version = f"{s['implementation']} {s['version']}"
    if s["version"] != s["language"]:
        version += f" (Python {s['language']})"
    system = f"{s['machine']}, {s['libc']}, cffi {s['cffi']}"
    rows = [("version", version), ("path", s["executable"]), ("system", system)]
    return _block("host", rows + [("note", each) for each in s["notes"]])


def _settings_text(s: Section) -> str:
    python = "not set: VIRTUAL_ENV, then PATH"
    if s["python"] is not None:
        python = f"{s['python']} ({s['python_source']})"
    isolate = "true" if s["isolate_symbols"] else "false"
    return _block("settings", [("python", python), ("isolate-symbols", isolate)])


def _candidates_text(candidates: list[Section]) -> str:
    rows = []
    for c in candidates:
        verdict = "chosen" if c["chosen"] else "refused" if c["reason"] else "usable"
        what = c["reason"] or f"is CPython {c['version']}"
        rows.append((verdict, f"{c['source']}: {c['path']} {what}"))
    return _block("candidates", rows or [("none", "no python3.X on PATH, no VIRTUAL_ENV")])


def _guest_text(s: Section) -> str:
    rows = [
        ("version", f"CPython {s['version']}" + (" (debug build)" if s["debug"] else "")),
        ("path", s["executable"]),
        ("library", s["library"]),
        ("start", f"{s['found_and_started_ms']} ms, finding it included"),
    ]
    return _block("guest", rows + [("sys.path", each) for each in s["path"]])


def _packages_text(packages: list[Section]) -> str:
    return _block("packages", _origins.text(packages))


def _symbols_text(s: Section) -> str:
    if not s["enabled"]:
        return _block("symbols", [("off", "the guest's libraries see the host's names")])
    rows = [
        ("self-test", "passed" if s["selftest"] else "FAILED"),
        ("hidden", f"{s['hidden']} names of the host, while the guest loads something"),
        ("bound", f"{s['prebound']} lazy calls of the host, in advance"),
        ("redirected", f"uses of dlopen in the guest: {s['redirected']}"),
    ]
    return _block("symbols", rows)


def _checks_text(checks: list[Section]) -> str:
    rows = []
    for c in checks:
        price = f": {c['ns']} ns" if "ns" in c else ""
        text = c["name"] + price if c["ok"] else f"{c['name']}: {c['error']}"
        rows.append(("ok" if c["ok"] else "FAILED", text))
    return _block("checks", rows)


_TEXTS: dict[str, Callable[[Any], str]] = {
    "pybridge": _pybridge_text,
    "host": _host_text,
    "settings": _settings_text,
    "candidates": _candidates_text,
    "guest": _guest_text,
    "symbols": _symbols_text,
    "packages": _packages_text,
    "checks": _checks_text,
}
