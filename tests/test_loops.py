# SPDX-License-Identifier: MIT
"""Two loops on one thread.  Both halves are plain asyncio: here both are the host's.

With one interpreter for both, the thread's running loop is the hosted one once that has had a
turn, so the outer one's code here does not ask for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading

import pytest

from pybridge import _loops


@contextlib.contextmanager
def two_loops():
    """(outer, hosted, pump): the outer one is new and not running."""
    outer = asyncio.new_event_loop()
    pump = _loops.Pump(outer)
    hosted = _loops.HostedLoop(pump.want)
    pump.begin(hosted.pump, hosted.begin(), hosted.leave, hosted.end)
    try:
        yield outer, hosted, pump
    finally:
        if not outer.is_closed():
            outer.close()
        assert hosted.is_closed()


def on(hosted, outer, coroutine):
    """Run a coroutine on the hosted loop until it is done, by running the outer one."""
    task, done = hosted.create_task(coroutine), outer.create_future()
    task.add_done_callback(lambda _: done.set_result(None))
    outer.run_until_complete(done)
    return task


def test_tasks_and_timers_of_the_hosted_loop_go_on():
    async def work():
        assert asyncio.get_running_loop() is hosted
        await asyncio.sleep(0)
        begin = hosted.time()
        await asyncio.sleep(0.03)
        return hosted.time() - begin

    with two_loops() as (outer, hosted, _):
        assert on(hosted, outer, work()).result() >= 0.03


def test_files_and_other_threads_wake_it():
    async def work():
        r, w = os.pipe()
        came = hosted.create_future()
        hosted.add_reader(r, lambda: came.set_result(os.read(r, 10)))
        hosted.call_later(0.01, os.write, w, b"text")
        data = await came
        hosted.remove_reader(r)
        os.close(r)
        os.close(w)
        late = hosted.create_future()
        thread = threading.Thread(
            target=hosted.call_soon_threadsafe, args=(late.set_result, "thread")
        )
        thread.start()
        answer = data, await late
        thread.join()
        return answer

    with two_loops() as (outer, hosted, _):
        assert on(hosted, outer, work()).result() == (b"text", "thread")


def test_both_take_turns_and_neither_starves():
    turns = []

    async def hosted_work():
        for _ in range(20):
            turns.append("hosted")
            await asyncio.sleep(0)

    async def outer_work():
        for _ in range(20):
            turns.append("outer")
            await asyncio.sleep(0)

    with two_loops() as (outer, hosted, _):
        other = outer.create_task(outer_work())
        on(hosted, outer, hosted_work())
        outer.run_until_complete(other)
    assert turns.count("hosted") == turns.count("outer") == 20
    assert "outer" in turns[: turns.index("hosted") + 30] and turns[-20:] != ["outer"] * 20


def test_it_counts_as_running_only_while_the_outer_one_runs():
    async def work():
        return asyncio.get_running_loop()

    with two_loops() as (outer, hosted, _):
        assert on(hosted, outer, work()).result() is hosted
        assert not hosted.is_running()
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        assert on(hosted, outer, work()).result() is hosted  # and again


def test_what_is_left_is_cancelled_when_the_outer_one_is_closed():
    ended = []

    async def forever():
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("cleaned up")

    async def soon():
        await asyncio.sleep(0.01)

    with two_loops() as (outer, hosted, _):
        task = hosted.create_task(forever())
        on(hosted, outer, soon())
        outer.close()
        assert hosted.is_closed() and task.cancelled() and ended == ["cleaned up"]
        assert hosted.pump() is None  # a late turn does nothing


def test_a_loop_that_cannot_host_is_refused():
    with pytest.raises(RuntimeError, match="object cannot host the other interpreter's loop"):
        _loops.Pump(object())


@pytest.mark.parametrize("kind", ["result", "error", "cancelled"])
def test_a_future_ends_as_the_other_sides_task_did(kind):
    async def other():
        if kind == "error":
            raise KeyError("k")
        if kind == "cancelled":
            raise asyncio.CancelledError
        return 5

    async def main():
        task = asyncio.get_running_loop().create_task(other())
        await asyncio.wait([task])
        future = _loops.OtherFuture(loop=asyncio.get_running_loop())
        future.finish(*_loops.outcome(task))
        future.finish("result", "too late")
        return future

    future = asyncio.run(main())
    assert future.cancelled() == (kind == "cancelled")
    if kind == "result":
        assert future.result() == 5
    if kind == "error":
        assert repr(future.exception()) == "KeyError('k')"


def test_cancelling_asks_the_other_side_which_decides():
    async def main():
        asked = []
        future = _loops.OtherFuture(loop=asyncio.get_running_loop())
        future.cancel_other = lambda: asked.append(True)
        assert future.cancel() and asked == [True] and not future.done()
        future.finish("result", "would not")
        assert await future == "would not" and not future.cancel()
        alone = _loops.OtherFuture(loop=asyncio.get_running_loop())
        assert alone.cancel() and alone.cancelled()

    asyncio.run(main())
