"""Numbers of a configuration: pydantic takes true for 1, which nobody means."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


Number = BeforeValidator(_not_bool)
"""In an `Annotated` number: neither true nor false."""
Count = Annotated[int, Number, Field(ge=1)]
NonNegative = Annotated[float, Number, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Number, Field(allow_inf_nan=False)]
Positive = Annotated[float, Number, Field(gt=0, allow_inf_nan=False)]
