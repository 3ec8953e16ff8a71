# SPDX-License-Identifier: MIT
"""Context variables of both sides, in tasks of either loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys

import children
import pytest

import pybridge

GUEST = """
import asyncio, contextvars

mine = contextvars.ContextVar("mine", default="nothing")

def put(x): return mine.set(x)
def get(): return mine.get()
def take_back(token): mine.reset(token)

async def put_later(x):
    await asyncio.sleep(0)
    mine.set(x)
    return x

async def call(f): return await f()
async def spawn(f): return await asyncio.create_task(call(f))
async def get_later():
    await asyncio.sleep(0)
    return mine.get()

def run(f): return asyncio.run(call(f))
"""
OLD = "guests before 3.11 cannot be told the context of a task"
host_variable: contextvars.ContextVar[str] = contextvars.ContextVar("host_variable")


@pytest.fixture(scope="module")
def guest_names():
    names = {}
    pybridge.exec(GUEST, names)
    return names


@pytest.fixture
def get(guest_names):
    return guest_names["get"]


@pytest.fixture
def put(guest_names):
    return guest_names["put"]


def test_tasks_of_the_host_do_not_see_what_others_set_in_the_guest(get, put):
    async def task(n):
        seen = [get()]
        put(n)
        for _ in range(4):
            await asyncio.sleep(0)
            seen.append(get())
        return seen

    async def main():
        put("main")
        found = await asyncio.gather(*[task(n) for n in range(5)])
        return found, get()

    assert asyncio.run(main()) == ([["main", n, n, n, n] for n in range(5)], "main")
    assert get() == "nothing"


def test_a_callback_has_what_was_set_when_it_was_scheduled(get, put):
    async def main():
        seen = []
        put("then")
        asyncio.get_running_loop().call_soon(lambda: seen.append(get()))
        put("now")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return seen, get()

    assert asyncio.run(main()) == (["then"], "now")


def test_a_guest_context_manager_is_its_tasks_own():
    decimal = pybridge.import_module("decimal")
    third = pybridge.eval("lambda: str(__import__('decimal').Decimal(1) / 3)")

    async def task(digits):
        with decimal.localcontext() as context:
            context.prec = digits
            await asyncio.sleep(0)
            return third()

    async def main():
        return await asyncio.gather(task(3), task(5), task(7))

    assert asyncio.run(main()) == ["0.333", "0.33333", "0.3333333"]


def test_a_guest_coroutine_has_its_awaiters_context(get, put, guest_names):
    async def main():
        put("outer")
        return await guest_names["get_later"]()

    assert asyncio.run(main()) == "outer"


def test_what_an_awaited_guest_coroutine_sets_stays_set(get, guest_names, guest):
    if guest.version < (3, 11):
        pytest.skip(OLD)

    async def main():
        await guest_names["put_later"]("by the coroutine")
        awaited = get()
        await asyncio.create_task(guest_names["put_later"]("by a task"))
        return awaited, get()

    assert asyncio.run(main()) == ("by the coroutine", "by the coroutine")


async def _set_here():
    host_variable.set("below")
    await asyncio.sleep(0)
    return host_variable.get()


async def _get_here():
    await asyncio.sleep(0)
    return host_variable.get("nothing")


def test_a_host_coroutine_below_a_guest_one_has_the_hosts_context(guest_names):
    async def task(n):
        host_variable.set(f"task {n}")
        await asyncio.sleep(0)
        return await guest_names["call"](_get_here), await guest_names["spawn"](_get_here)

    async def main():
        return await asyncio.gather(task(1), task(2))

    assert asyncio.run(main()) == [("task 1",) * 2, ("task 2",) * 2]


@pytest.mark.skipif(
    sys.implementation.name == "cpython" and sys.version_info < (3, 12),
    reason="this host does not tell a task's context",
)
def test_what_it_sets_stays_set_when_it_was_awaited(guest_names):
    async def main():
        host_variable.set("above")
        below = await guest_names["spawn"](_set_here), host_variable.get()
        return below, (await guest_names["call"](_set_here), host_variable.get())

    assert asyncio.run(main()) == (("below", "above"), ("below", "below"))


def test_a_loop_of_the_guests_runs_host_coroutines_in_contexts_of_their_own(get, guest_names):
    async def task():
        host_variable.set("inside")
        return host_variable.get(), get()

    guest_names["put"]("outside")
    try:
        assert guest_names["run"](task) == ("inside", "outside")
        assert host_variable.get("nothing") == "nothing"
    finally:
        guest_names["put"]("nothing")


def test_a_token_undoes_in_the_same_task(get, put, guest_names):
    async def main():
        token = put("for a while")
        await asyncio.sleep(0)
        guest_names["take_back"](token)
        return get()

    assert asyncio.run(main()) == "nothing"


def test_contexts_die_with_their_tasks(put, guest_names):
    copies = pybridge.eval("lambda: len([o for o in __import__('gc').get_objects()"
                           " if type(o).__name__ == 'Context'])")  # fmt: skip

    async def task(n):
        put(n)
        await guest_names["call"](_get_here)

    async def main():
        await asyncio.gather(*[task(n) for n in range(50)])

    def settle():
        for _ in range(6):
            gc.collect()
            pybridge.exec("__import__('gc').collect()")
            pybridge.statistics()
        return copies()

    asyncio.run(main())
    before = settle()
    for _ in range(5):
        asyncio.run(main())
    assert settle() <= before + 20


def test_an_error_leaves_the_guests_context(get, put):
    async def task():
        put("failing")
        raise LookupError

    async def main():
        await asyncio.gather(task(), task(), return_exceptions=True)
        return get()

    assert asyncio.run(main()) == "nothing" == get()


@pytest.mark.parametrize("first", ["asyncio", "pybridge"])
def test_asyncio_may_be_imported_later(first, guest):
    second = "pybridge; pybridge.exec('0')" if first == "asyncio" else "asyncio"
    begin = "import asyncio" if first == "asyncio" else "import pybridge; pybridge.exec('0')"
    text = f"""
{begin}
import {second}
names = {{}}
pybridge.exec("import contextvars; v = contextvars.ContextVar('v', default=0)", names)
v = names["v"]
async def task(n):
    v.set(n)
    await asyncio.sleep(0)
    return v.get()
async def main():
    return await asyncio.gather(*[task(n) for n in range(3)])
print(asyncio.run(main()), v.get())
"""
    assert children.run(text).out == "[0, 1, 2] 0\n"
