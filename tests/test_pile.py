# SPDX-License-Identifier: MIT
"""Dead objects that wait for the host's collector do not keep the guest's cycle collector busy
(csrc/pile.c).  In children: the thresholds are the guest's, and stay as they came to be."""

import sys

import children
import pytest

BEGIN = """
import pybridge
pybridge.exec('''
import gc
own = gc.get_threshold()
class Made: pass
def fail(): raise ValueError("no")
def made(): return Made()
def sweeps(): return gc.get_stats()[1]["collections"]
def looked_through(n):
    before = gc.get_stats()[0]["collections"]
    kept = [[] for _ in range(n)]
    return gc.get_stats()[0]["collections"] - before
''', globals())

def drop(n):
    for _ in range(n):
        made()

def catch(n):
    for _ in range(n):
        try:
            fail()
        except ValueError:
            pass
"""


@pytest.mark.skipif(sys.implementation.name != "pypy", reason="a CPython host has no pile")
@pytest.mark.parametrize("loop", ["drop", "catch"])
def test_a_loop_that_drops_guest_objects_has_none_of_them_looked_through(loop):
    children.run(
        BEGIN
        + f"""
{loop}(50_000)
before = sweeps()
{loop}(100_000)
assert sweeps() - before <= 5, sweeps() - before  # 10 and more with the guest's own threshold
assert gc.get_threshold()[0] > own[0] and gc.get_threshold()[1:] == own[1:]
"""
    )


@pytest.mark.skipif(sys.implementation.name != "pypy", reason="a CPython host has no pile")
def test_the_guests_own_threshold_comes_back_when_piles_are_small():
    children.run(
        BEGIN
        + """
drop(100_000)
raised = gc.get_threshold()[0]
assert raised > own[0]
import gc as host_gc
for _ in range(64 * 8 + 8):
    made()
    host_gc.collect()
    pybridge.statistics()  # sweeps
assert gc.get_threshold() == own, (own, raised, gc.get_threshold())
"""
    )


def test_a_program_that_sets_a_threshold_keeps_it():
    children.run(
        BEGIN
        + """
gc.set_threshold(500, 7, 8)
drop(100_000)
assert gc.get_threshold() == (500, 7, 8)
"""
    )
    children.run(
        BEGIN
        + """
drop(100_000)
gc.set_threshold(500, 7, 8)
drop(10_000)
catch(100_000)
assert gc.get_threshold() == (500, 7, 8)
"""
    )
    children.run(
        BEGIN + "gc.set_threshold(0)\ndrop(100_000)\nassert gc.get_threshold()[0] == 0"
    )


def test_a_guest_whose_objects_nobody_drops_in_masses_keeps_its_own():
    children.run(
        BEGIN
        + """
kept = [made() for _ in range(20_000)]
assert looked_through(20_000) >= 5
assert gc.get_threshold() == own
"""
    )


def test_cycles_are_still_found():
    children.run(
        BEGIN
        + """
pybridge.exec('''
alive = 0
class Ring:
    def __init__(self):
        global alive
        alive += 1
        self.me = self
    def __del__(self):
        global alive
        alive -= 1
def rings(n):
    for _ in range(n): Ring()
    return alive
''', globals())
drop(100_000)
assert rings(200_000) < 60_000
"""
    )
