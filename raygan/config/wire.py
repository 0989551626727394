"""How activations and gradients travel: `wire` in the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from raygan.names import Codec, Direction

Way = Literal["up", "down"]
"""Up: from a client to the body."""


class WayCodecs(BaseModel):
    """A number format for each way and kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    activations_up: Codec = "float32"
    """What heads send to the body."""
    activations_down: Codec = "float32"
    """What the body sends to tails."""
    gradients_up: Codec = "float32"
    """What tails send back to the body."""
    gradients_down: Codec = "float32"
    """What the body sends back to heads."""


class WireConfig(BaseModel):
    """How activations and gradients travel."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    codec: Codec | WayCodecs = "float32"
    """Number format of activations and gradients on the wire. `bfloat16` halves the bytes; `float16` and `int8`
    (a quarter) scale every tensor by its largest entry. Or one each, `{activations_up: int8, gradients_up: bfloat16}`:
    what is not named is `float32`."""

    def codec_of(self, direction: Direction, way: Way) -> Codec:
        """Of activations (forward) or gradients (backward), to the body or from it."""
        if isinstance(self.codec, str):
            return self.codec
        kind = "activations" if direction == "forward" else "gradients"
        codec: Codec = getattr(self.codec, f"{kind}_{way}")
        return codec
