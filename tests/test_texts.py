# SPDX-License-Identifier: MIT
"""Texts from the host: each is the same text in the guest, remembered or not."""

from __future__ import annotations

import random
import threading

import pytest

import pybridge
from pybridge import _texts


@pytest.fixture(scope="module")
def told(guest):
    """Length, characters by number, and is it a real str."""
    return pybridge.eval(
        "lambda s: (type(s) is str, tuple(map(ord, s)), s, hash(s) == hash(s + ''))"
    )


ODD = [
    "", "a", "ab", "abc", "\0", "\0\0", "a\0b", "\x7f\x7f", "\x80", "a\x80", "\xff" * 8, "ä",
    "äöü",
    "x" * 7, "x" * 8, "x" * 9, "x" * 16, "x" * 17, "x" * 31, "x" * 32, "x" * 33, "x" * 40,
    "x" * 31 + "ä", "x" * 5000 + "ä", "ä" * 5000, "x" * 100_000, "\ud800", "a\udfffb",
    "\U0001f600", "\U0001f600" * 40, "abc\ud83d\ude00",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD, ids=lambda s: ascii(s[:12]) + str(len(s)))
def test_a_text_is_the_same_text_in_the_guest(told, text):
    for _ in range(4):
        exact, numbers, back, hashed = told(text)
        assert exact and hashed and back == text and numbers == tuple(map(ord, text))


def test_every_length_and_every_place_of_a_character_that_is_not_ascii(told):
    for n in range(1, 70):
        for at in range(n):
            text = "a" * at + "é" + "b" * (n - at - 1)
            assert told(text)[2] == text
        assert told("c" * n)[1] == (99,) * n


def test_texts_with_one_place_are_not_confused(told):
    chance = random.Random(1)
    texts = [f"{chance.getrandbits(40):x}"[: chance.randrange(1, 10)] for _ in range(20_000)]
    same = pybridge.eval("lambda a, b: (a, b)")
    for a, b in zip(texts, texts[1:]):
        assert same(a, a) == (a, a) and same(b, a) == (b, a)
    assert len(_texts._texts) == _texts._PLACES


def test_a_text_of_a_class_of_its_own_keeps_its_class(guest):
    class Name(str):
        pass

    text, kind = Name("spam"), pybridge.eval("lambda s: type(s).__name__")
    for _ in range(3):
        assert kind("spam") == "str" and kind(text) == "Name"


def test_what_the_guest_appends_to_is_not_what_is_remembered(guest):
    longer = pybridge.eval("lambda s: [s := s + 'x' for i in range(3)]")
    for _ in range(5):
        assert list(longer("spam")) == ["spamx", "spamxx", "spamxxx"]
    assert pybridge.eval("lambda s: s")("spam") == "spam"


def test_a_text_that_came_twice_costs_no_copy(guest):
    _texts._texts[hash("eggs and spam") & (_texts._PLACES - 1)] = None
    same = pybridge.eval("lambda s: s")
    for _ in range(3):
        same("eggs and spam")
    handle = _texts.known_text("eggs and spam")
    assert handle != 0 and handle == _texts.known_text("".join(["eggs", " and spam"]))
    assert _texts.known_text("something else that nobody says") == 0


def test_a_long_text_that_is_passed_again_is_not_copied_and_comes_back_itself(guest):
    same = pybridge.eval("lambda s: s")
    length = pybridge.eval("lambda s: len(s)")
    for text in ("x" * 100_000, "ж" * 1000, "\ud800" * 50, "y" * 33):
        for _ in range(3):
            assert same(text) == text and length(text) == len(text)
        assert same(text) is text
        assert _texts._twins[0].text is text
        other = "".join(list(text))
        assert same(other) == other


def test_a_text_that_is_too_long_is_not_kept(guest):
    length = pybridge.eval("lambda s: len(s)")
    text = "x" * (_texts._LONGEST + 1)
    for _ in range(3):
        assert length(text) == len(text)
    assert _texts._twins[0].text is not text and _texts._candidate[0] is not text


def test_the_twin_goes_with_the_next_full_sweep(guest, leakfree):
    same = pybridge.eval("lambda s: s")
    text = "spam and eggs " * 100
    for _ in range(3):
        same(text)
    keep = pybridge.eval("lambda s, kept=[]: kept.append(s) or kept[0]")
    assert keep(text) is text
    _texts._forget()
    assert keep("") == text  # the guest's object is an ordinary text again
    for _ in range(3):
        same(text)
    assert keep("") == text


def test_a_stale_twin_is_not_believed(guest):
    same = pybridge.eval("lambda s: s")
    x = pybridge.eval("object()")
    before = _texts._release.shared.twin
    _texts._release.shared.twin = x._pybridge_handle
    assert same(x) is x
    assert _texts._release.shared.twin == 0
    _texts._release.shared.twin = before if _texts._twins[0].handle == before else 0


def test_a_scope_does_not_take_the_twin(guest):
    same, text = pybridge.eval("lambda s: s"), "a text of some length, " * 5
    with pybridge.scope():
        for _ in range(3):
            same(text)
    assert same(text) is text


def test_threads_that_pass_different_long_texts(guest):
    same = pybridge.eval("lambda s, t: (s, t)")
    wrong = []

    def work(n):
        mine, mine_too = f"text {n} " * 50, f"other {n} " * 50
        for _ in range(300):
            for text in (mine, mine, mine_too):
                if same(text, text) != (text, text):
                    wrong.append(text)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_long_text_is_a_value_wherever_it_goes(guest):
    text = "what is " * 20
    same = pybridge.eval("lambda s: s")
    for _ in range(3):
        same(text)
    assert pybridge.eval("lambda s: (s, [s], {s: s})")(text)[0] == text
    assert list(pybridge.eval("lambda s: [s, s]")(text)) == [text, text]
    assert (
        same(s := [text]) is s
        and pybridge.eval("lambda f, s: f(s)")(lambda t: t + "!", text) == text + "!"
    )
    assert pybridge.eval("lambda f: f()")(lambda: text) == text
    assert pybridge.ref(text).upper() == text.upper()
    holder = pybridge.eval("type('X', (), {})()")
    holder.name = text
    assert holder.name is text
    assert next(iter(pybridge.eval("lambda s: iter((s,))")(text))) == text
    with pytest.raises(KeyError) as caught:
        pybridge.eval("{}")[text]
    assert caught.value.args == (text,)
