# SPDX-License-Identifier: MIT
"""Collect the examples of docstrings, and run them, on a plain CPython.

    python native.py OUTPUT.json numpy numpy.linalg ...

Run by run.py with the guest's own interpreter; never by the host.  Each docstring has a
namespace of its own: the module's public names, the usual short names, and what its earlier
examples made.
"""

import contextlib
import doctest
import importlib
import inspect
import io
import json
import os
import signal
import sys
import warnings

ALIASES = {"numpy": "np", "pandas": "pd", "scipy": "sp"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SECONDS = 20


def objects(module):
    """(name, object) for what has docstrings: the module, its functions, classes, methods."""
    yield module.__name__, module
    seen = set()
    for name in sorted(getattr(module, "__all__", None) or dir(module)):
        x = getattr(module, name, None)
        if name.startswith("_") or inspect.ismodule(x) or id(x) in seen:
            continue
        home = getattr(x, "__module__", None)
        if isinstance(home, str) and home.split(".")[0] != module.__name__.split(".")[0]:
            continue
        seen.add(id(x))
        yield f"{module.__name__}.{name}", x
        if inspect.isclass(x):
            for member, value in sorted(vars(x).items()):
                if not member.startswith("_"):
                    yield f"{module.__name__}.{name}.{member}", value


def collected(names):
    """Docstrings with their examples: each text once."""
    texts = set()
    for module_name in names:
        module = importlib.import_module(module_name)
        for name, x in objects(module):
            text = getattr(x, "__doc__", None)
            if not isinstance(text, str) or text in texts or ">>>" not in text:
                continue
            texts.add(text)
            try:
                examples = doctest.DocTestParser().get_examples(text, name)
            except ValueError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            yield {
                "name": name,
                "module": module_name,
                "examples": [
                    {"source": e.source, "want": e.want, "options": {
                        str(k): v for k, v in e.options.items()}}
                    for e in examples
                ],
            }  # fmt: skip


def namespace(module_name, load):
    """What the examples of a module's docstrings refer to; `load` imports a module."""
    module = load(module_name)
    names = [n for n in dir(module) if not n.startswith("_")]
    space = {"__name__": "__main__"}
    for name in names:
        try:
            space[name] = getattr(module, name)
        except Exception:
            pass
    top = module_name.split(".")[0]
    for name, alias in ALIASES.items():
        if name == top or top == "scipy":
            try:
                space[alias] = load(name)
            except ImportError:
                pass
    space[top] = load(top)
    return space


class TooLong(BaseException):
    pass


def _alarm(number, frame):
    raise TooLong


def run(docstring, space):
    """Run the examples one after the other; gives what each printed, or how it failed.

    Runs on both sides: in native.py and, as part of bridged.py, on the host.
    """
    signal.signal(signal.SIGALRM, _alarm)
    results = []
    display, sys.displayhook = sys.displayhook, sys.__displayhook__
    try:
        for i, example in enumerate(docstring["examples"]):
            out = io.StringIO()
            error = None
            signal.alarm(SECONDS)
            try:
                with contextlib.redirect_stdout(out), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    code = compile(example["source"], f"<{docstring['name']} {i}>", "single")
                    exec(code, space)
            except TooLong:
                error = "TooLong: no answer"
            except SystemExit as e:
                error = f"SystemExit: {e}"
            except BaseException as e:
                error = "".join(
                    __import__("traceback").format_exception_only(type(e), e)
                ).strip()
            finally:
                signal.alarm(0)
            results.append({"got": out.getvalue(), "error": error})
            if error is not None and error.startswith("TooLong"):
                break
    finally:
        sys.displayhook = display
    while len(results) < len(docstring["examples"]):
        results.append({"got": "", "error": "not run"})
    return results


def passes(example, result):
    """Is what an example gave what its docstring wants?"""
    flags = FLAGS
    for number, on in example["options"].items():
        flags = flags | int(number) if on else flags & ~int(number)
    if flags & doctest.SKIP:
        return False
    want = example["want"]
    if result["error"] is not None:
        match = doctest.DocTestParser._EXCEPTION_RE.match(want)
        if match is None:
            return False
        wanted = match.group("msg").strip()
        got = result["error"]
        check = doctest.OutputChecker().check_output
        if check(wanted + "\n", got + "\n", flags):
            return True
        # A class may be told with its module or without.
        return check(_short(wanted) + "\n", _short(got) + "\n", flags)
    return doctest.OutputChecker().check_output(want, result["got"], flags)


def _short(message):
    name, colon, text = message.partition(":")
    return name.rpartition(".")[2] + colon + text


def extend_path(path):
    """Folders of PYBRIDGE_DOCTESTS_PATH, for packages that no environment has."""
    for folder in os.environ.get("PYBRIDGE_DOCTESTS_PATH", "").split(os.pathsep):
        if folder:
            path.insert(0, folder)


def main():
    output, *names = sys.argv[1:]
    extend_path(sys.path)
    docstrings = list(collected(names))
    for docstring in docstrings:
        try:
            space = namespace(docstring["module"], importlib.import_module)
            results = run(docstring, space)
        except Exception as error:
            print(f"{docstring['name']}: {error!r}", file=sys.stderr)
            results = [{"got": "", "error": repr(error)} for _ in docstring["examples"]]
        docstring["native"] = results
    with open(output, "w") as file:
        json.dump(docstrings, file)


if __name__ == "__main__":
    main()
