# SPDX-License-Identifier: MIT
"""What all tests share: which guest, and the check that nothing leaks.

PYTEST_DONT_REWRITE: see `pytest_collection`, which is not there yet when this is loaded.
"""

from __future__ import annotations

import collections
import faulthandler
import gc
import os
import platform
import signal
import sys
from collections.abc import Generator

import pytest
import scalars

import pybridge
from pybridge import (
    _described,
    _guest,
    _hostclass,
    _kinds,
    _metatype,
    _release,
    _runtime,
    _table,
    _values,
)  # fmt: skip

# Tests of these modules need no guest in this process, or must not have one.
_WITHOUT_GUEST = {
    "test_attach",
    "test_exit",
    "test_fork",
    "test_runtime",
    "test_signals",
    "test_build",
    "test_children",
    "test_demos",
    "test_discover",
    "test_doctests",
    "test_doctor",
    "test_dates",
    "test_layers",
    "test_loops",
    "test_memory",
    "test_imported",
    "test_layout",
    "test_probe",
    "test_settings",
    "test_templates",
}


def pytest_configure(config: pytest.Config) -> None:
    faulthandler.enable()
    os.environ.pop("PYPY_GC_INCREMENT_STEP", None)  # of tools/run_tests.py, for this process
    # What is ignored here is ignored in every child: nohup does so, and a shell in the
    # background.  A handler is not inherited.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *args: None)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """No major collection while pytest rewrites the test files: PyPy before 7.3.16 then frees
    objects that are in use (docs/troubleshooting.md)."""
    gc.collect()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_report_header(config: pytest.Config) -> list[str]:
    host = f"{platform.python_implementation()} {platform.python_version()}"
    if hasattr(sys, "pypy_version_info"):
        host += " (PyPy {}.{}.{})".format(*sys.pypy_version_info[:3])
    return [
        f"pybridge: {pybridge.__version__}; host: {host}, {sys.executable}",
        f"guest: {os.environ.get('PYBRIDGE_PYTHON') or 'as discovered'}",
    ]


@pytest.fixture(scope="session")
def guest():
    """The guest of this run (PYBRIDGE_PYTHON says which), started; the probe's facts."""
    pybridge.start()
    return _runtime.guest


@pytest.fixture(autouse=True, scope="module")
def _started(request: pytest.FixtureRequest) -> None:
    if request.module.__name__ not in _WITHOUT_GUEST:
        request.getfixturevalue("guest")
        _freeze()


@pytest.fixture(scope="module")
def np(guest):
    """The guest's numpy."""
    try:
        return pybridge.import_module("numpy")
    except ModuleNotFoundError:
        pytest.skip("this guest has no numpy")


@pytest.fixture(scope="module")
def judge(np, request: pytest.FixtureRequest) -> dict[str, object]:
    """What the test module's JUDGE defines in the guest, and `outcome`: see scalars.py."""
    names: dict[str, object] = {}
    pybridge.exec(scalars.OUTCOME + getattr(request.module, "JUDGE", ""), names)
    return names


@pytest.fixture(scope="session")
def guest_version(guest) -> tuple[int, int]:
    """The guest's (major, minor)."""
    return tuple(pybridge.import_module("sys").version_info[:2])


def _cached() -> int:
    """How many handles the bridge keeps for ever, each made at its first use."""
    caches = (_guest._functions, _values._factories, _kinds.guest_classes)
    kept = {id(proxy) for cache in caches for proxy in cache.values()}
    # Compiled traces may keep a class that nothing else uses.
    for cls in [*_kinds.objects, *map(_kinds.alive, list(_kinds.mortal))]:
        if isinstance(cls, _metatype.MirrorType):
            kept.add(id(type.__getattribute__(cls, "_pybridge_class")))
    return len(kept) + len(_hostclass.kept_for_ever()[0])


def counts(enough: tuple[int, int] = (-1, -1)) -> tuple[int, int]:
    """(handles open, host objects held by the guest), once everything dead is released, or no
    more than `enough` are left.

    More than one round: releasing a guest object may drop host objects, whose death makes
    proxies unreachable, and a finalizer on PyPy runs one collection late.
    """
    now = None
    same = 0
    _described._codes.clear()  # stand-ins of the guest's functions that have raised: made anew
    for _ in range(10):
        gc.collect()
        pybridge.eval("__import__('gc').collect()")
        statistics = pybridge.statistics()
        hosts = statistics.host_objects - len(_hostclass.kept_for_ever()[1])
        before, now = now, (statistics.handles_open - _cached(), hosts)
        same = same + 1 if now == before else 0
        if same == 2:  # once may be a pause: a chain that dies from one side to the other
            break
        if now[0] <= enough[0] and now[1] <= enough[1]:
            break
    assert now is not None
    return now


def _open() -> collections.Counter[str]:
    """What the open handles and the held host objects are, in words."""
    describe = pybridge.eval(
        "lambda address: object.__repr__(__import__('ctypes').cast("
        "address, __import__('ctypes').py_object).value)"
    )
    words = [word for slab in _release._slabs for word in slab if word]
    return collections.Counter(
        # The lowest bit marks a held buffer: see csrc/buffer.c.
        ["a held buffer" if word & 1 else "guest " + describe(word) for word in words]
        + [f"host {x!r:.100}" for x in _table.objects if x is not None]
    )


def _freeze() -> None:
    """Have both collectors pass over what there is now; a PyPy host has no such thing.

    What packages loaded in the guest is most of a collection's time.  Cycles of older objects
    are kept by this, so a count taken later is the same or lower, never higher.
    """
    pybridge.eval("__import__('gc').freeze()")
    getattr(gc, "freeze", lambda: None)()


@pytest.fixture
def leakfree():
    """After the test as many handles are open, and as many host objects held, as before.

    What the bridge keeps for ever from a first use on is not counted.
    """
    before, known = counts(), _open()
    _freeze()
    yield
    after = counts(before)
    # Fewer is no leak: what was dead before and waited for a neighbour.
    if after[0] > before[0] or after[1] > before[1]:
        news = sorted((_open() - known).elements())
        pytest.fail(
            f"(handles, host objects) were {before} and are {after}; what is new, and its "
            "neighbours:\n" + "\n".join(news)
        )
