# SPDX-License-Identifier: MIT
"""The bridge's Python in the guest: guest objects pickled for the host's pickles."""

import pickle


def dumps(x, protocol):
    """The pickle of `x` as bytes."""
    return pickle.dumps(x, min(protocol, pickle.HIGHEST_PROTOCOL))


def dumps_apart(x, protocol):
    """The pickle without its large buffers, and these as flat memoryviews."""
    buffers = []
    data = pickle.dumps(
        x, min(protocol, pickle.HIGHEST_PROTOCOL), buffer_callback=buffers.append
    )
    return data, tuple(buffer.raw() for buffer in buffers)


def loads(data, buffers):
    """The object; `buffers` in the order in which they were taken out."""
    return pickle.loads(data, buffers=buffers)
