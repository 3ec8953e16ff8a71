# SPDX-License-Identifier: MIT
"""A book of options by Monte Carlo: scalar ndtri makes three million normal draws, scalar ndtr
the chance, at half time, that a draw's path ends above the strikes."""

import math

import numpy as np
from scipy.special import ndtr, ndtri

PATHS, SPOT, RATE, SIGMA, YEARS = 3_000_000, 100.0, 0.02, 0.25, 1.0
BOOK = [
    (80.0, 2),
    (85.0, -1),
    (90.0, 3),
    (95.0, 4),
    (100.0, -2),
    (105.0, 1),
    (110.0, 5),
    (120.0, -3),
]


def black_scholes(strike):
    """The price of a call."""
    width = SIGMA * math.sqrt(YEARS)
    d1 = (math.log(SPOT / strike) + (RATE + SIGMA * SIGMA / 2) * YEARS) / width
    return SPOT * ndtr(d1) - strike * math.exp(-RATE * YEARS) * ndtr(d1 - width)


def simulate(draws):
    """The book's value, and the mean chance at half time of ending above the spot."""
    drift, width = (RATE - SIGMA * SIGMA / 2) * YEARS, SIGMA * math.sqrt(YEARS)
    total = chance = 0.0
    for u in draws:
        z = ndtri(u)
        end = SPOT * math.exp(drift + width * z)
        for strike, number in BOOK:
            if end > strike:
                total += number * (end - strike)
        chance += ndtr(z * math.sqrt(0.5) + drift / width)
    return total / len(draws) * math.exp(-RATE * YEARS), chance / len(draws)


def main():
    """Simulated against exact."""
    value, chance = simulate(np.random.default_rng(2).random(PATHS))
    exact = sum(number * black_scholes(strike) for strike, number in BOOK)
    print(f"value {value:.6f}, exact {exact:.6f}, chance {chance:.6f}")
    assert abs(value - exact) < 0.5


main()
