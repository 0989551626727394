"""A loader of the user's own, by import path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from raygan.data.arrays import REQUIRED, Arrays
from raygan.errors import DataError, reason

if TYPE_CHECKING:
    from raygan.config.schema import DomainConfig


def load_custom(path: str, domain: DomainConfig, where: str) -> Arrays:
    """What `package.module:function` returns when it is called with the domain's configuration: a dict with
    the names of an `.npz` file (see `Arrays.checked`), or `Arrays`.

    Modules are looked up where Python looks, and in the current folder.

    Raises:
        DataError: the function cannot be found, fails, or returns something else.
    """
    with _current_folder():
        function = _function(path, where)
        try:
            result = function(domain)
        except DataError:
            raise
        except Exception as error:
            raise DataError(where, f"it failed with {_reason(error)}", "mend the loader") from error
    if isinstance(result, Arrays):
        fields = {name: getattr(result, name) for name in (*REQUIRED, "classes")}
        result = fields | {f"train_{name}": values for name, values in result.groups.items()}
    if not isinstance(result, Mapping):
        found = f"it returned {type(result).__name__}"
        raise DataError(where, found, f"return a dict with {', '.join(REQUIRED)}")
    try:
        fields = {str(name): np.asarray(values) for name, values in result.items()}
    except Exception as error:  # lists of unequal lengths, tensors on a device
        raise DataError(where, f"not arrays: {_reason(error)}", "return numpy arrays") from error
    return Arrays.checked(where, fields)


def _function(path: str, where: str) -> Callable[[DomainConfig], Any]:
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise DataError(where, "not an import path", "write package.module:function")
    try:
        found: Callable[[DomainConfig], Any] = getattr(importlib.import_module(module), name)
    except Exception as error:  # the user's module may raise anything while it is imported
        remedy = "check the path, and that Python finds the module"
        raise DataError(where, f"cannot be imported: {_reason(error)}", remedy) from error
    if not callable(found):
        raise DataError(where, f"is a {type(found).__name__}, not a function", "name a function")
    return found


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


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {reason(error)}"
