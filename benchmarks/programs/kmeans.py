# SPDX-License-Identifier: MIT
"""k-means by loops over the rows of an array, checked against scipy.cluster."""

import numpy as np
from scipy.cluster.vq import kmeans2, vq

POINTS, FEATURES, CLUSTERS, ROUNDS = 50_000, 4, 6, 12


def nearest(point, centres):
    """Which centre is nearest to a point."""
    best, at = float("inf"), 0
    for c in range(len(centres)):
        distance = 0.0
        for f in range(FEATURES):
            distance += (point[f] - centres[c, f]) ** 2
        if distance < best:
            best, at = distance, c
    return at


def step(points, centres, labels):
    """Label each point, and give the means of the clusters."""
    sums, counts = np.zeros_like(centres), [0] * len(centres)
    for i, point in enumerate(points):
        label = nearest(point, centres)
        labels[i] = label
        counts[label] += 1
        for f in range(FEATURES):
            sums[label, f] += point[f]
    return sums / np.array(counts)[:, None]


def main():
    """The same start for both."""
    rng = np.random.default_rng(4)
    blobs = rng.random((CLUSTERS, FEATURES)) * 10
    points = blobs[rng.integers(0, CLUSTERS, POINTS)] + rng.normal(size=(POINTS, FEATURES))
    start = points[:CLUSTERS].copy()
    centres, labels = start, np.zeros(POINTS, dtype=np.int64)
    for _ in range(ROUNDS):
        centres = step(points, centres, labels)
    step(points, centres, labels)
    theirs, _ = kmeans2(points, start, iter=ROUNDS, minit="matrix")
    assert np.allclose(centres, theirs) and (labels == vq(points, centres)[0]).all()
    print(f"centres {centres.sum():.9f}, sizes {np.bincount(labels).tolist()}")


main()
