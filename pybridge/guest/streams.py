# SPDX-License-Identifier: MIT
"""The guest's sys.stdin, stdout and stderr: the host's.

Each operation is one call of the host, on whatever `sys.stdout` is there at that moment; so
lines of both sides come out in order, and who replaces the host's stream gets the guest's
output too.  Nothing is kept here: the host's own stream does the buffering.

`print` is a function of ours, which writes a line at once.  The builtin one writes each
argument and the end by itself, and as each is a call of the host, which other threads of the
guest need not wait for, their lines would be mixed more often than they are in a plain run.

A process that guest code forked must not enter the host, whose lock may have been held by
another thread; nor may a thread that outlives the bridge.  There the guest's own streams,
on the descriptors 0 to 2, take over.
"""

import io
import sys

_NAMES = ("stdin", "stdout", "stderr")
_streams = []


class _Remote:
    """The host's stream of one name."""

    def __init__(self, name, get, call):
        self.name, self.get_host, self.call_host = name, get, call

    def get(self, attribute):
        return self.get_host(self.name, attribute)

    def call(self, method, *args):
        return self.call_host(self.name, method, *args)

    def configure(self, changes):
        self.call_host(self.name, "reconfigure", *changes.items())


class _Local:
    """A stream of the guest's own; None where the descriptor is closed."""

    def __init__(self, stream):
        self.stream = stream

    def get(self, attribute):
        target = self.stream
        for name in attribute.split("."):
            target = getattr(target, name, None)
        return target is not None if attribute == "buffer" else target

    def call(self, method, *args):
        target = self.stream
        if target is None:
            return len(args[0]) if method == "write" else None
        for name in method.split("."):
            target = getattr(target, name)
        return target(*args)

    def configure(self, changes):
        if self.stream is not None:
            self.stream.reconfigure(**changes)


class _Binary(io.BufferedIOBase):
    """What is `buffer` of a text stream."""

    def __init__(self, text):
        self._text = text

    def __del__(self):
        pass  # the base class would close the stream

    def _call(self, method, *args):
        return self._text._side.call("buffer." + method, *args)

    def write(self, data):
        if isinstance(data, str):
            raise TypeError("a bytes-like object is required, not 'str'")
        return self._call("write", bytes(data))

    def flush(self):
        self._call("flush")

    def read(self, size=-1):
        return self._call("read", -1 if size is None else size)

    def read1(self, size=-1):
        return self._call("read1", size)

    def readline(self, size=-1):
        return self._call("readline", -1 if size is None else size)

    def readinto(self, into):
        view = memoryview(into).cast("B")
        data = self._call("read", len(view))
        view[: len(data)] = data
        return len(data)

    def readable(self):
        return self._text.readable()

    def writable(self):
        return self._text.writable()

    def fileno(self):
        return self._text.fileno()

    def isatty(self):
        return self._text.isatty()

    def close(self):
        self._call("close")

    @property
    def closed(self):
        return self._text.closed

    @property
    def name(self):
        return self._text._side.get("buffer.name")

    @property
    def mode(self):
        return self._text._side.get("buffer.mode")


class _Text(io.TextIOBase):
    """sys.stdin, sys.stdout or sys.stderr.  `write` is an attribute of the object, the
    host's function itself: no frame of the guest's between `print` and the host."""

    def __init__(self, name, side, write):
        self._name, self._side = name, side
        self.write = write

    def __del__(self):
        pass  # the base class would close the stream

    def __repr__(self):
        return "<%s of the host>" % self._name.strip("_")

    def flush(self):
        self._side.call("flush")

    def read(self, size=-1):
        return self._side.call("read", -1 if size is None else size)

    def readline(self, size=-1):
        return self._side.call("readline", -1 if size is None else size)

    def readable(self):
        return "stdin" in self._name

    def writable(self):
        return "stdin" not in self._name

    def seekable(self):
        return bool(self._side.call("seekable"))

    def seek(self, *args):
        return self._side.call("seek", *args)

    def tell(self):
        return self._side.call("tell")

    def isatty(self):
        return bool(self._side.call("isatty"))

    def fileno(self):
        try:
            number = self._side.call("fileno")
        except (OSError, ValueError, AttributeError):
            number = None
        if number is None:
            raise io.UnsupportedOperation("fileno")
        return number

    def close(self):
        self._side.call("close")

    def detach(self):
        raise io.UnsupportedOperation("the host's stream cannot be detached from here")

    def reconfigure(self, **changes):
        self._side.configure(changes)

    @property
    def buffer(self):
        if not self._side.get("buffer"):
            raise AttributeError("%r has no attribute 'buffer'" % self)
        return _Binary(self)

    @property
    def closed(self):
        return bool(self._side.get("closed"))

    def __getattr__(self, attribute):
        if attribute in ("name", "mode"):
            return self._side.get(attribute)
        raise AttributeError("%r has no attribute %r" % (self, attribute))


def _asked(attribute):
    return property(lambda self: self._side.get(attribute))


for _each in ("encoding", "errors", "newlines", "line_buffering", "write_through"):
    setattr(_Text, _each, _asked(_each))


def _refuse_write(text):
    raise io.UnsupportedOperation("not writable")


def _print(*args, sep=" ", end="\n", file=None, flush=False):
    """Prints the values to a stream, or to sys.stdout by default.

    sep
      string inserted between values, default a space.
    end
      string appended after the last value, default a newline.
    file
      a file-like object (stream); defaults to the current sys.stdout.
    flush
      whether to forcibly flush the stream.
    """
    stream = sys.stdout if file is None else file
    if sep is None:
        sep = " "
    if end is None:
        end = "\n"
    if type(stream) is not _Text or type(sep) is not str or type(end) is not str:
        return _builtin_print(*args, sep=sep, end=end, file=file, flush=flush)
    stream.write(sep.join([str(x) for x in args]) + end)
    if flush:
        stream.flush()


_builtin_print = print
_print.__module__, _print.__name__, _print.__qualname__ = "builtins", "print", "print"


def streams_use(get, call, writers):
    """Put the host's streams in place of the guest's.  `get`, `call`: functions of the host
    that read an attribute and call a method of one of its streams; `writers`: the write
    functions by name."""
    import builtins
    import os

    for name in (*_NAMES, *("__%s__" % name for name in _NAMES)):
        own = getattr(sys, name)
        remote = _Remote(name, get, call)
        stream = _Text(name, remote, writers.get(name, _refuse_write))
        _streams.append((stream, remote, stream.write, own))
        setattr(sys, name, stream)
    builtins.print = _print
    os.register_at_fork(after_in_child=streams_local)


def streams_local():
    """From now on the guest's own streams: in a forked process, and after the end."""
    for stream, _, _, own in _streams:
        stream._side = _Local(own)
        stream.write = own.write if own is not None else len


def streams_remote():
    """The host's streams again: the host forked, and this is its child."""
    for stream, remote, write, _ in _streams:
        stream._side, stream.write = remote, write
