"""Networks as lists of blocks: building, splitting, merging."""

from typing import TYPE_CHECKING, Any

from raygan.nn.spec import NetworkSpec

if TYPE_CHECKING:
    from raygan.nn.blocks import Networks, paper_networks

__all__ = ["NetworkSpec", "Networks", "paper_networks"]


def __getattr__(name: str) -> Any:
    """The networks themselves on first use: they bring torch along, which an aggregator does without."""
    if name in ("Networks", "paper_networks"):
        from raygan.nn import blocks

        return getattr(blocks, name)
    raise AttributeError(f"module 'raygan.nn' has no attribute {name!r}")
