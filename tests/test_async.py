# SPDX-License-Identifier: MIT
"""async and await across the border."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time

import children
import guests
import pytest

import pybridge

SOURCE = """
import asyncio, contextlib, contextvars, inspect, threading

var = contextvars.ContextVar("var", default="none")

async def add(a, b, delay=0):
    await asyncio.sleep(delay)
    return a + b

async def at_once(x):
    return x

async def fail(error):
    await asyncio.sleep(0)
    raise error

async def count(n, log):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        await asyncio.sleep(0)
        log.append("closed")

@contextlib.asynccontextmanager
async def manager(log, swallow=()):
    log.append("enter")
    try:
        yield 5
    except swallow:
        log.append("swallowed")
    finally:
        await asyncio.sleep(0)
        log.append("leave")

async def wait(log, stubborn=False):
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
        log.append("cancelled")
        if not stubborn:
            raise
        return "refused"

async def twice(f):
    return (await f(1)) + (await f(2))

async def together(*hosts):
    return await asyncio.gather(*hosts)

async def sum_of(iterator):
    total = 0
    async for x in iterator:
        total += x
    return total

async def limited(awaitable, seconds):
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        return "too late"

async def catches(f):
    try:
        await f()
    except Exception as error:
        return error

def future_later(seconds, value):
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(seconds, future.set_result, value)
    return future

def from_a_thread(value):
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    threading.Thread(
        target=lambda: loop.call_soon_threadsafe(future.set_result, value)).start()
    return future

async def read_var():
    await asyncio.sleep(0)
    return var.get()

async def set_var(value):
    var.set(value)
    return var.get()

async def executor(f, *args):
    return await asyncio.get_running_loop().run_in_executor(None, f, *args)
"""


@pytest.fixture(scope="module")
def m(guest):
    pybridge.exec(
        "import sys, types\n"
        "m = sys.modules['asyncs'] = types.ModuleType('asyncs')\n"
        "exec(source, m.__dict__)\n",
        {"source": SOURCE},
    )
    return pybridge.import_module("asyncs")


def guest_list():
    return pybridge.eval("[]")


# ---- the host awaits -----------------------------------------------------------------------


def test_a_guest_coroutine_is_awaited(m):
    async def main():
        return await m.add(1, 2), await m.add("a", "b", 0.01), await m.at_once(None)

    assert asyncio.run(main()) == (3, "ab", None)


def test_it_is_a_coroutine_for_asyncio(m):
    async def main():
        task = asyncio.create_task(m.add(1, 2, 0.01))
        both = await asyncio.gather(m.at_once(1), m.add(1, 1, 0.01))
        return [await task, *both, await asyncio.wait_for(m.at_once(4), 1)]

    assert asyncio.run(main()) == [3, 1, 2, 4]
    assert asyncio.run(m.add(2, 3)) == 5
    assert inspect.isawaitable(m.at_once(1))


def test_many_wait_at_once(m):
    async def main():
        return await asyncio.gather(*[m.add(i, i, 0.2) for i in range(100)])

    begin = time.perf_counter()
    assert asyncio.run(main()) == [2 * i for i in range(100)]
    assert time.perf_counter() - begin < 10  # one after the other: 20


def test_host_and_guest_take_turns(m):
    order = []

    async def host():
        for i in range(3):
            order.append(("host", i))
            await asyncio.sleep(0.02)

    async def main():
        await asyncio.gather(host(), m.twice(hosted))

    async def hosted(x):
        order.append(("guest", x))
        await asyncio.sleep(0.03)
        return x

    asyncio.run(main())
    assert order[0] == ("host", 0) and order.index(("guest", 1)) < order.index(("host", 2))


def test_exceptions_arrive_with_their_frames(m):
    own = ValueError("the host's")

    async def main():
        with pytest.raises(ValueError) as caught:
            await m.fail(own)
        assert caught.value is own
        with pytest.raises(KeyError, match="k") as caught:
            await m.fail(pybridge.eval("KeyError('k')"))
        assert "fail" in [entry.name for entry in caught.traceback]

    asyncio.run(main())


def test_async_for(m):
    async def main():
        log = guest_list()
        assert [x async for x in m.count(4, log)] == [0, 1, 2, 3]
        assert list(log) == ["closed"]
        generator = m.count(4, log)
        async for _ in generator:
            break
        await generator.aclose()
        assert list(log) == ["closed"] * 2
        generator = m.count(2, log)
        assert await asyncio.wait_for(generator.__anext__(), 1) == 0
        assert await generator.asend(None) == 1
        with pytest.raises(StopAsyncIteration):
            await generator.__anext__()
        with pytest.raises(TypeError, match="async for"):
            async for _ in guest_list():
                pass

    asyncio.run(main())


def test_async_with(m):
    async def main():
        log = guest_list()
        async with m.manager(log) as x:
            assert x == 5 and list(log) == ["enter"]
        assert list(log) == ["enter", "leave"]
        log = guest_list()
        async with m.manager(log, KeyError):
            raise KeyError("k")
        assert list(log) == ["enter", "swallowed", "leave"]
        raised = ValueError("v")
        with pytest.raises(ValueError) as caught:
            async with m.manager(guest_list()):
                raise raised
        assert caught.value is raised
        lock = m.asyncio.Lock()
        async with lock:
            assert lock.locked()
        assert not lock.locked()
        with pytest.raises((TypeError, AttributeError)):
            async with guest_list():
                pass

    asyncio.run(main())


def test_cancelling_reaches_the_guest(m):
    async def main():
        log = guest_list()
        task = asyncio.create_task(m.wait(log))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(log) == ["cancelled"]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(m.wait(log), 0.02)
        assert list(log) == ["cancelled"] * 2

        async def inner():
            return await m.wait(log, stubborn=True)

        task = asyncio.create_task(inner())
        await asyncio.sleep(0.01)
        task.cancel()
        assert await task == "refused"

    asyncio.run(main())


def test_a_timeout_of_the_guests_is_asyncios(m):
    async def main():
        with pytest.raises(asyncio.TimeoutError) as caught:
            await m.asyncio.wait_for(m.add(1, 1, 5), 0.01)
        if pybridge.import_module("sys").version_info[1] >= 11:
            assert isinstance(caught.value, TimeoutError)

    asyncio.run(main())


def test_guest_futures_and_the_running_loop(m):
    async def main():
        assert await m.future_later(0.01, 5) == 5
        assert await m.from_a_thread("x") == "x"
        queue = m.asyncio.Queue()
        waiting = asyncio.create_task(queue.get())
        await queue.put(3)
        assert await waiting == 3
        both = await asyncio.gather(
            m.future_later(0.01, 1), m.asyncio.ensure_future(m.at_once(2))
        )
        assert both == [1, 2]
        assert m.future_later(0, 0).done() is False
        assert m.asyncio.get_event_loop().is_running()

    asyncio.run(main())
    with pytest.raises(RuntimeError, match="no running event loop"):
        m.future_later(0, 0)


def test_a_guests_executor_runs_host_functions(m):
    async def main():
        me = threading.get_ident()
        return await m.executor(lambda x: (x, threading.get_ident() != me), 7)

    assert asyncio.run(main()) == (7, True)


def test_variables_of_both_sides_in_one_task(m):
    mine = contextvars.ContextVar("mine")

    async def main():
        mine.set("host")
        m.var.set("guest")
        assert await m.read_var() == "guest"
        assert await m.set_var("inside") == "inside"

        async def reads(x):
            await asyncio.sleep(0)
            return [mine.get()]

        assert len(await m.twice(reads)) == 2 and mine.get() == "host"

    asyncio.run(main())
    m.var.set("none")


def test_loops_one_after_the_other_and_in_threads(m):
    async def main(n):
        return await m.add(n, 1, 0.01)

    assert [asyncio.run(main(n)) for n in range(3)] == [1, 2, 3]
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(main(1)) == 2
    assert m.asyncio.run(m.add(1, 1)) == 2  # nothing runs here in between
    assert loop.run_until_complete(main(2)) == 3
    loop.close()
    results = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(asyncio.run(main(n))))
        for n in range(4)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(results) == [1, 2, 3, 4]


def test_guest_tasks_go_on_when_a_loop_runs_again(m):
    loop = asyncio.new_event_loop()
    tasks = []

    async def begin():
        await m.at_once(0)
        tasks.append(m.asyncio.ensure_future(m.add(1, 2, 0.02)))

    async def end():
        return await asyncio.wait_for(tasks[0], 5)

    loop.run_until_complete(begin())
    tasks.append(tasks[0].get_loop().call_later(0.01, lambda: None))
    assert loop.run_until_complete(end()) == 3
    loop.close()


def test_guest_tasks_that_are_left_are_cancelled_with_the_loop(m):
    log = guest_list()

    async def main():
        m.asyncio.ensure_future(m.wait(log))
        await asyncio.sleep(0.02)

    asyncio.run(main())
    assert list(log) == ["cancelled"]


def test_a_loop_that_is_not_asyncios_is_refused(m):
    from pybridge import _loops

    class Other:
        pass

    with pytest.raises(RuntimeError, match="Other cannot host"):
        _loops.Pump(Other())


def test_what_is_not_awaitable_is_refused(m):
    async def main():
        with pytest.raises(TypeError, match="await"):
            await guest_list()

    asyncio.run(main())


def test_without_a_loop_a_coroutine_is_the_guests(m):
    coroutine = m.at_once(5)
    with pytest.raises(StopIteration) as caught:
        coroutine.send(None)
    assert caught.value.value == 5
    other = m.at_once(5)
    other.close()
    with pytest.raises(RuntimeError, match="no running event loop"):
        other.__await__()


# ---- the guest awaits ----------------------------------------------------------------------


async def double(x):
    await asyncio.sleep(0.01)
    return 2 * x


def test_the_guests_loop_runs_host_coroutines(m):
    assert m.asyncio.run(double(4)) == 8
    assert m.asyncio.run(m.twice(double)) == 6
    assert list(m.asyncio.run(m.together(*[double(i) for i in range(50)]))) == [
        2 * i for i in range(50)
    ]


def test_there_and_back_again(m):
    async def host(n):
        return 0 if n == 0 else 1 + await m.twice(lambda _, n=n: host(n - 1))

    assert asyncio.run(host(4)) == m.asyncio.run(host(4)) == 15


def test_host_async_generators_and_futures_in_the_guest(m):
    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, future.set_result, 5)
        assert await m.limited(future, 1) == 5
        assert await m.limited(asyncio.create_task(double(1)), 1) == 2

    asyncio.run(main())


def test_the_guest_cancels_host_coroutines(m):
    log = []

    async def slow():
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    assert m.asyncio.run(m.limited(slow(), 0.02)) == "too late"

    async def main():
        return await m.limited(slow(), 0.02)

    assert asyncio.run(main()) == "too late"
    assert log == ["cancelled"] * 2


def test_a_host_coroutines_exception_is_the_same_object(m):
    raised = LookupError("x")

    async def fail():
        await asyncio.sleep(0)
        raise raised

    async def main():
        with pytest.raises(LookupError) as caught:
            await m.twice(lambda x: fail())
        assert caught.value is raised

    asyncio.run(main())


def test_libraries_see_that_a_host_function_is_async(m):
    check = pybridge.eval("lambda f: __import__('asyncio').iscoroutinefunction(f)")
    assert check(double) is True
    assert check(lambda: 1) is False
    if pybridge.import_module("sys").version_info[1] >= 12:
        assert m.inspect.iscoroutinefunction(double) is True


@guests.once
def test_nothing_is_left():
    """In a child: handles of other tests' chunks come and go."""
    children.run(
        """
        import asyncio, gc, pybridge
        pybridge.exec("import asyncio\\n"
                      "async def add(a, b):\\n await asyncio.sleep(0)\\n return a + b\\n"
                      "async def twice(f): return await f(1) + await f(2)\\n")
        m = pybridge.import_module("__main__")

        async def double(x):
            await asyncio.sleep(0)
            return 2 * x

        async def main():
            for i in range(20):
                assert await m.add(i, 1) == i + 1
                assert await m.twice(double) == 6

        def counts():
            for _ in range(6):
                gc.collect()
                pybridge.eval("__import__('gc').collect()")
                pybridge.statistics()
            return pybridge.statistics()

        for _ in range(3):
            asyncio.run(main())
        before = counts()
        for _ in range(10):
            asyncio.run(main())
            counts()
        after = counts()
        assert after.host_objects <= before.host_objects + 3, (before, after)
        assert after.handles_open <= before.handles_open + 100, (before, after)  # of 1200
        """,
        timeout=60,
    )


# ---- real libraries ------------------------------------------------------------------------


def guest_has(name):
    return pybridge.eval("lambda n: __import__('importlib.util').util.find_spec(n)")(name)


def test_a_thousand_requests_with_aiohttp():
    """Server and client are the guest's, over loopback; handler and program are the host's."""
    if guest_has("aiohttp") is None:
        pytest.skip("no aiohttp in this guest")
    children.run(
        """
        import asyncio, pybridge
        aiohttp = pybridge.import_module("aiohttp")
        web = pybridge.import_module("aiohttp.web")

        served = 0

        async def handler(request):
            global served
            served += 1
            await asyncio.sleep(0)
            n = int(request.match_info["n"])
            return web.json_response({"n": n, "double": 2 * n})

        async def main():
            app = web.Application()
            app.router.add_get("/{n}", handler)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]

            async with aiohttp.ClientSession() as session:
                limit = asyncio.Semaphore(20)

                async def fetch(n):
                    async with limit:
                        async with session.get(f"http://127.0.0.1:{port}/{n}") as response:
                            assert response.status == 200
                            return (await response.json())["double"]

                answers = await asyncio.gather(*[fetch(n) for n in range(1000)])
            await runner.cleanup()
            return answers

        assert asyncio.run(main()) == [2 * n for n in range(1000)]
        assert served == 1000
        """,
        timeout=100,
    )


def test_httpx():
    if guest_has("httpx") is None or guest_has("aiohttp") is None:
        pytest.skip("no httpx and aiohttp in this guest")
    children.run(
        """
        import asyncio, pybridge
        httpx = pybridge.import_module("httpx")
        web = pybridge.import_module("aiohttp.web")

        async def main():
            async def handler(request):
                return web.Response(text="hello " + request.query["who"])

            app = web.Application()
            app.router.add_get("/", handler)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
            async with httpx.AsyncClient(trust_env=False) as client:
                texts = [
                    (await client.get(url, params={"who": str(i)})).text for i in range(20)
                ]
            await runner.cleanup()
            return texts

        assert asyncio.run(main()) == [f"hello {i}" for i in range(20)]
        """,
        timeout=100,
    )
