# SPDX-License-Identifier: MIT
"""Five million messages of a feed, decoded in a loop over a structured array."""

import numpy as np

COUNT = 5_000_000
MESSAGE = np.dtype(
    [("kind", "u1"), ("side", "S1"), ("source", "<u2"), ("quantity", "<i4"),
     ("price", "<f8"), ("number", "<i8")]
)  # fmt: skip


def feed():
    """Messages as they might come in."""
    rng = np.random.default_rng(3)
    messages = np.zeros(COUNT, MESSAGE)
    messages["kind"] = rng.integers(0, 4, COUNT, "u1")
    messages["side"] = np.array([b"B", b"S"])[rng.integers(0, 2, COUNT, "u1")]
    messages["source"] = rng.integers(0, 50, COUNT, "u2")
    messages["quantity"] = rng.integers(1, 1000, COUNT, "i4")
    messages["price"] = 100.0 + rng.random(COUNT, "f4")
    messages["number"] = np.arange(COUNT)
    return messages


def decode(messages):
    """Turnover of the trades, the sum of the open orders, and gaps in the numbering."""
    turnover, position, gaps, expected = 0.0, 0, 0, 0
    for message in messages:
        if message["number"] != expected:
            gaps += 1
        expected += 1
        kind = message["kind"]
        if kind == 1:
            turnover += message["price"] * message["quantity"]
        elif kind == 2 and message["source"] < 40:
            if message["side"] == b"B":
                position += message["quantity"]
            else:
                position -= message["quantity"]
    return turnover, position, gaps


def main():
    """The loop against numpy's own sum."""
    messages = feed()
    turnover, position, gaps = decode(messages)
    trades = messages[messages["kind"] == 1]
    whole = (trades["price"] * trades["quantity"]).sum()
    print(f"turnover {turnover:.3f}, position {position}, gaps {gaps}")
    assert abs(turnover - whole) < 1e-6 * whole and gaps == 0


main()
