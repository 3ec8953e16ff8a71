# SPDX-License-Identifier: MIT
"""Guest calls as futures."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import children
import pytest

import pybridge


def test_a_result_and_an_exception_arrive():
    assert pybridge.submit(pybridge.eval("lambda x, y=1: x + y"), 1, y=2).result(10) == 3
    future = pybridge.submit(pybridge.eval("lambda: 1 / 0"))
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        future.result(10)
    assert isinstance(future.exception(), ZeroDivisionError)


def test_the_host_goes_on_while_the_guest_computes():
    spin = pybridge.eval("lambda n: sum(range(n))")
    future = pybridge.submit(spin, 5_000_000)
    count = 0
    while not future.done():
        count += 1
    assert future.result() == sum(range(5_000_000))
    assert count > 1000


def test_many_calls_keep_their_results_apart():
    square = pybridge.eval("lambda x: x * x")
    futures = [pybridge.submit(square, i) for i in range(500)]
    assert [f.result(30) for f in futures] == [i * i for i in range(500)]
    done = concurrent.futures.as_completed([pybridge.submit(square, i) for i in range(20)])
    assert sorted(f.result() for f in done) == [i * i for i in range(20)]


def test_a_call_that_has_not_begun_is_cancelled():
    gate = threading.Event()
    blockers = [pybridge.submit(gate.wait, 30) for _ in range(16)]
    last = pybridge.submit(pybridge.eval("lambda: 1"))
    assert last.cancel() and last.cancelled()
    gate.set()
    for future in blockers:
        if not future.cancelled():
            future.result(30)


def test_asyncio_waits_for_it():
    async def main():
        return await asyncio.wrap_future(pybridge.submit(pybridge.eval("lambda: 'done'")))

    assert asyncio.run(main()) == "done"


def test_calls_that_release_the_guests_lock_run_at_once():
    both = pybridge.import_module("threading").Barrier(2, timeout=30)
    numbers = [future.result(60) for future in [pybridge.submit(both.wait) for _ in range(2)]]
    assert sorted(numbers) == [0, 1]


def test_the_pool_ends_with_the_program_and_finishes_what_it_began():
    result = children.run("""
        import pybridge
        pybridge.exec("import time\\ndef slow():\\n    time.sleep(0.3)\\n    print('finished')")
        pybridge.submit(pybridge.eval("slow"))
    """)
    assert result.out == "finished\n"
