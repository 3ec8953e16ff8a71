# SPDX-License-Identifier: MIT
# /// script
# dependencies = ["scikit-learn"]
# ///
"""An estimator written here, inside scikit-learn's pipeline and grid search.

`Pooling` is a class of the host below the guest's `BaseEstimator`: scikit-learn reads the
signature of its `__init__`, clones it with other parameters, fits and scores it.

    pypy3 -m pybridge run demos/pipeline.py
"""

import platform
import sys

import pybridge

try:
    base = pybridge.import_module("sklearn.base")
except ModuleNotFoundError as error:
    sys.exit(f"{error}: run me with `python -m pybridge run`, which installs what I need")
datasets = pybridge.import_module("sklearn.datasets")
linear_model = pybridge.import_module("sklearn.linear_model")
model_selection = pybridge.import_module("sklearn.model_selection")
pipeline = pybridge.import_module("sklearn.pipeline")

made = []


class Pooling(base.BaseEstimator, base.TransformerMixin):
    """Means of `size` x `size` blocks of each 8 x 8 picture, less `threshold`."""

    def __init__(self, size=1, threshold=0.0):
        self.size = size
        self.threshold = threshold

    def fit(self, pictures, labels=None):
        """Nothing to learn; counts the objects that scikit-learn made."""
        made.append(self)
        return self

    def transform(self, pictures):
        """The pooled pictures, one a row."""
        n = 8 // self.size
        blocks = pictures.reshape(-1, n, self.size, n, self.size).mean(axis=(2, 4))
        return (blocks.reshape(-1, n * n) - self.threshold).clip(0) / 16


def main():
    """Search the best size and threshold."""
    digits = datasets.load_digits()
    steps = [
        ("pool", Pooling()),
        ("classify", linear_model.LogisticRegression(max_iter=1000)),
    ]
    search = model_selection.GridSearchCV(
        pipeline.Pipeline(steps),
        {"pool__size": [1, 2, 4], "pool__threshold": [0.0, 4.0]},
        cv=3,
    )
    search.fit(digits.data[:900], digits.target[:900])
    score = search.score(digits.data[900:], digits.target[900:])
    best = ", ".join(f"{k.partition('__')[2]}={v}" for k, v in search.best_params_.items())
    print(
        f"pipeline: {platform.python_implementation()} fitted {len(made)} clones of "
        f"{base.clone(Pooling(2))!r} and its like; best: {best}, {score:.1%} right on new data"
    )


if __name__ == "__main__":
    main()
