# SPDX-License-Identifier: MIT
"""The sun and the outer planets, a minimum, three Fourier transforms: Python, scipy, numpy."""

import math

import numpy as np
from scipy.optimize import minimize

DAYS = 365.24
BODIES = [  # x, y, z; velocity a day; mass in suns
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    (
        4.8414314424,
        -1.1603200440,
        -0.1036220445,
        0.00166007664,
        0.00769901118,
        -0.0000690460,
        9.548e-4,
    ),
    (
        8.3433666718,
        4.1247985641,
        -0.4035234171,
        -0.00276742511,
        0.00499852801,
        0.0000230417,
        2.859e-4,
    ),
    (
        12.894369562,
        -15.11115140,
        -0.2233075789,
        0.00296460138,
        0.00237847174,
        -0.0000296590,
        4.366e-5,
    ),
    (
        15.379697115,
        -25.91931461,
        0.1792587730,
        0.00268067772,
        0.00162824170,
        -0.0000951592,
        5.151e-5,
    ),
]


def advance(bodies, pairs, dt, steps):
    for _ in range(steps):
        for a, b in pairs:
            dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
            magnitude = dt * (dx * dx + dy * dy + dz * dz) ** -1.5
            to_a, to_b = b[6] * magnitude, a[6] * magnitude
            a[3] -= dx * to_a
            a[4] -= dy * to_a
            a[5] -= dz * to_a
            b[3] += dx * to_b
            b[4] += dy * to_b
            b[5] += dz * to_b
        for body in bodies:
            body[0] += dt * body[3]
            body[1] += dt * body[4]
            body[2] += dt * body[5]


def rosenbrock(x):
    total = 0.0
    for i in range(len(x) - 1):
        total += 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


bodies = [
    [x, y, z, u * DAYS, v * DAYS, w * DAYS, m * 4 * math.pi**2]
    for x, y, z, u, v, w, m in BODIES
]
advance(bodies, [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1 :]], 0.001, 100_000)
print("Jupiter", *(f"{x:.6f}" for x in bodies[1][:3]))

found = minimize(rosenbrock, [1.3, 0.7, 0.8, 1.9, 1.2], method="Nelder-Mead")
print("minimum at", *(f"{x:.3f}" for x in found.x))

signal = np.sin(np.arange(2.0**20) * 0.01)
for _ in range(3):
    signal = np.abs(np.fft.fft(signal))
print("spectrum", f"{signal.sum():.6e}")
