"""Code of the user's own: found by its import path, and fenced, so that whatever it does ends in one line.

A loader, networks or a search's function may raise anything, `SystemExit` and `KeyboardInterrupt` too. Inside a fence
that becomes an `InputError` that names the key, what was raised, and the user's own file and line; its cause keeps the
traceback.
"""

from __future__ import annotations

import dis
import importlib
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from traceback import walk_tb
from types import CodeType, FrameType
from typing import Any

from raygan.errors import ConfigError, InputError, reason

HERE = Path(__file__).parent
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def imported(path: str, where: str, kind: type[InputError] = ConfigError) -> Callable[..., Any]:
    """The function at `package.module:function`; modules are looked up where Python looks, and in the current folder.

    Args:
        where: the key or value that an error names.
        kind: the error that is raised.

    Raises:
        InputError: nothing can be imported there, or it is no function.
    """
    module, colon, name = path.partition(":")
    it = "" if where == path else f"{path!r} "
    if not (module and colon and name):
        raise kind(where, f"{it}is no import path", "write package.module:function")
    with fenced(where, f"{it}cannot be imported:", kind, "check the path, and that Python finds the module"):
        found = getattr(importlib.import_module(module), name)
    if not callable(found):
        raise kind(where, f"{it}is a {type(found).__name__}, not a function", "name a function")
    function: Callable[..., Any] = found
    return function


@contextmanager
def fenced(where: str, what: str, kind: type[InputError] = ConfigError, remedy: str = "mend it") -> Iterator[None]:
    """While the user's code runs: what is raised becomes one line, what it prints goes to standard error, and modules
    of the current folder are found.

    Args:
        where: the key or value that an error names.
        what: what was called, such as `nets:make failed with`.
        kind: the error that is raised.
        remedy: what to do.

    Raises:
        InputError: as `kind`; one that was raised inside is left as it is.
    """
    try:
        with _current_folder(), redirect_stdout(sys.stderr):
            yield
    except InputError:
        raise
    except BaseException as error:
        if _is_signal(error):
            raise
        raise kind(where, f"{what} {described(error)}", remedy) from error


@contextmanager
def blaming(own: tuple[str, str | None]) -> Iterator[None]:
    """While networks that may be the user's run among raygan's code: what is raised in theirs becomes one line, the rest
    is left alone.

    Args:
        own: their key and import path; no path: they are none of the user's.
    """
    key, path = own
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        if path is None or not own_line(error) or _is_signal(error):
            raise
        raise ConfigError(key, f"{path} failed with {described(error)}", "mend it") from error


def described(error: BaseException) -> str:
    """What was raised and, where it is known, the user's own line: `ValueError: no such file (loads.py, line 12)`."""
    text = reason(error)
    kind = type(error).__name__
    own = own_line(error)
    return (kind if text == kind else f"{kind}: {text}") + (f" ({own})" if own else "")


def own_line(error: BaseException) -> str:
    """`loads.py, line 12`: the deepest line in the traceback that is neither raygan's nor a library's; empty: none."""
    own = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__) if _is_own(frame.f_code)]
    if not own:
        return ""
    code, line = own[-1]
    path, folder = Path(code.co_filename), Path.cwd()
    return f"{path.relative_to(folder) if path.is_relative_to(folder) else path}, line {line}"


def _is_own(code: CodeType) -> bool:
    file = code.co_filename
    return not (file.startswith("<") or Path(file).is_relative_to(HERE) or file.startswith(LIBRARIES))


def _is_signal(error: BaseException) -> bool:
    """Whether an interrupt came from outside: the user's own is raised by a `raise` of theirs."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    last, at = _last_frame(error)
    raised = dis.opname[last.f_code.co_code[at]] == "RAISE_VARARGS"
    return not (raised and _is_own(last.f_code))


def _last_frame(error: BaseException) -> tuple[FrameType, int]:
    """The frame in which an exception was raised, and the place of its instruction."""
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame, trace.tb_lasti


@contextmanager
def _current_folder() -> Iterator[None]:
    """A console script's import path lacks the current folder, where a user's module usually is."""
    folder = str(Path.cwd())
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
