"""Torch without its compiler.

Torch asks `torch._dynamo` to leave some of its own functions alone when they are first called, whether or not anybody
compiles: an import of more than a second of CPU time, in every process. We compile nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import nn

COMPILER = "torch._dynamo"


@contextmanager
def compiler_left_out(blocks: Iterable[nn.Module] = ()) -> Iterator[None]:
    """Functions that torch marks within it are marked without the compiler, and stay so. Nothing where the compiler is
    there already, or where a layer is neither ours nor torch's: it may compile.

    Args:
        blocks: what is called within.
    """
    makers = {type(layer).__module__ for block in blocks for layer in block.modules()}
    if COMPILER in sys.modules or not all(maker.startswith(("raygan.", "torch.nn.")) for maker in makers):
        yield
        return
    stand_in = ModuleType(COMPILER)
    stand_in.disable = _itself  # type: ignore[attr-defined]
    sys.modules[COMPILER] = stand_in
    try:
        yield
    finally:
        del sys.modules[COMPILER]


def _itself(function: Callable[..., Any], *options: object, **named: object) -> Callable[..., Any]:
    return function
