"""A loader of the user's own, by import path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from raygan.data.arrays import REQUIRED, Arrays
from raygan.errors import DataError
from raygan.own_code import fenced, imported

if TYPE_CHECKING:
    from raygan.config.schema import DomainConfig


def load_custom(path: str, domain: DomainConfig, where: str) -> Arrays:
    """What `package.module:function` returns when it is called with the domain's configuration: a dict with
    the names of an `.npz` file (see `Arrays.checked`), or `Arrays`.

    Modules are looked up where Python looks, and in the current folder.

    Raises:
        DataError: the function cannot be found, fails, or returns something else.
    """
    function = imported(path, where, DataError)
    with fenced(where, "it failed with", DataError, "mend the loader"):
        result = function(domain)
    if isinstance(result, Arrays):
        fields = {name: getattr(result, name) for name in (*REQUIRED, "classes")}
        result = fields | {f"train_{name}": values for name, values in result.groups.items()}
    if not isinstance(result, Mapping):
        found = f"it returned {type(result).__name__}"
        raise DataError(where, found, f"return a dict with {', '.join(REQUIRED)}")
    with fenced(where, "not arrays:", DataError, "return numpy arrays"):  # such as lists of unequal lengths
        fields = {str(name): np.asarray(values) for name, values in result.items()}
    return Arrays.checked(where, fields)
