# SPDX-License-Identifier: MIT
"""Heat in a plate: an explicit scheme over a[i, j], then the plate's mean by numpy."""

import numpy as np

N, SWEEPS = 1000, 10
ALPHA = 0.2


def sweep(old, new):
    """One step of time: each inner point moves towards the mean of its neighbours."""
    rows, columns = old.shape
    change = 0.0
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            here = old[i, j]
            around = old[i - 1, j] + old[i + 1, j] + old[i, j - 1] + old[i, j + 1]
            new[i, j] = here + ALPHA * (around - 4.0 * here)
            change += abs(new[i, j] - here)
    return change


def main():
    """Two warm edges, two cold ones, ten steps."""
    plate = np.random.default_rng(1).random((N, N))
    plate[0, :] = plate[:, 0] = 1.0
    plate[-1, :] = plate[:, -1] = 0.0
    other = plate.copy()
    for _ in range(SWEEPS):
        change = sweep(plate, other)
        plate, other = other, plate
    print(f"change {change:.6f}, mean {plate.mean():.9f}, centre {plate[N // 2, N // 2]:.9f}")


main()
