"""Networks as lists of blocks: building, splitting, merging."""

from raygan.nn.blocks import Networks, NetworkSpec, paper_networks

__all__ = ["NetworkSpec", "Networks", "paper_networks"]
