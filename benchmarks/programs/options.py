# SPDX-License-Identifier: MIT
"""A book of options by Monte Carlo: scalar ndtri makes the normal draws, scalar ndtr the prices
that serve as control, 3 million calls in all."""

import math

import numpy as np
from scipy.special import ndtr, ndtri

PATHS, RATE, SIGMA, YEARS = 1_500_000, 0.02, 0.25, 1.0
BOOK = [(90.0, 3), (100.0, -2), (110.0, 5)]  # strikes, and how many of each


def black_scholes(spot, strike, years):
    """The price of a call."""
    width = SIGMA * math.sqrt(years)
    d1 = (math.log(spot / strike) + (RATE + SIGMA * SIGMA / 2) * years) / width
    return spot * ndtr(d1) - strike * math.exp(-RATE * years) * ndtr(d1 - width)


def simulate(draws, spot):
    """The book's mean payoff, and the mean chance that the middle option pays at half time."""
    drift, width = (RATE - SIGMA * SIGMA / 2) * YEARS, SIGMA * math.sqrt(YEARS)
    total = chance = 0.0
    for u in draws:
        z = ndtri(u)
        end = spot * math.exp(drift + width * z)
        for strike, number in BOOK:
            if end > strike:
                total += number * (end - strike)
        chance += ndtr((math.log(end / 100.0) + drift) / width)
    return total / len(draws) * math.exp(-RATE * YEARS), chance / len(draws)


def main():
    """Simulated against exact."""
    value, chance = simulate(np.random.default_rng(2).random(PATHS), 100.0)
    exact = sum(number * black_scholes(100.0, strike, YEARS) for strike, number in BOOK)
    print(f"value {value:.6f}, exact {exact:.6f}, chance {chance:.6f}")
    assert abs(value - exact) < 0.2


main()
