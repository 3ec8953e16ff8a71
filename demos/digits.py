# SPDX-License-Identifier: MIT
# /// script
# dependencies = ["torch", "scikit-learn"]
# ///
"""A torch module written here, trained on scikit-learn's digits.

`Net` is a class of the host below the guest's `torch.nn.Module`: torch registers its
parameters, calls its `forward`, and prints it; the loop that trains it is the host's.

    pypy3 -m pybridge run demos/digits.py     # installs torch and scikit-learn for the guest
"""

import platform
import sys

import pybridge

try:
    torch = pybridge.import_module("torch")
    datasets = pybridge.import_module("sklearn.datasets")
except ModuleNotFoundError as error:
    sys.exit(f"{error}: run me with `python -m pybridge run`, which installs what I need")
nn, functional = torch.nn, torch.nn.functional


class Net(nn.Module):
    """Two layers, and the number of times that they were asked."""

    def __init__(self, hidden):
        super().__init__()
        self.hidden = nn.Linear(64, hidden)
        self.out = nn.Linear(hidden, 10)
        self.calls = 0

    def forward(self, x):
        """The scores of the ten digits for each picture."""
        self.calls += 1
        return self.out(functional.relu(self.hidden(x)))


def main():
    """Train, and test on pictures that were not seen."""
    torch.manual_seed(1)
    digits = datasets.load_digits()
    pictures = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    net = Net(48)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        loss = functional.cross_entropy(net(pictures[:1400]), labels[:1400])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (net(pictures[1400:]).argmax(1) == labels[1400:]).float().mean().item()
    weights = sum(p.numel() for p in net.parameters())
    print(
        f"digits: {platform.python_implementation()} trained {weights} weights of "
        f"{type(net).__name__}({isinstance(net, nn.Module)}) in {net.calls} calls of forward; "
        f"loss {loss.item():.3f}, {right:.1%} of 397 unseen digits right"
    )


if __name__ == "__main__":
    main()
