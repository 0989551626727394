"""GroupNorm in the place of BatchNorm: what comes of an image then depends on no other image of its batch."""

from __future__ import annotations

from math import gcd

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

MOST_GROUPS = 8


def with_group_norm(block: nn.Module) -> nn.Module:
    """The block with every BatchNorm in it replaced, in place, by a GroupNorm of at most `MOST_GROUPS` groups over as
    many channels (Wu and He 2018, arXiv 1803.08494)."""
    if isinstance(block, _BatchNorm):
        return nn.GroupNorm(gcd(MOST_GROUPS, block.num_features), block.num_features, block.eps, block.affine)
    for name, child in block.named_children():
        setattr(block, name, with_group_norm(child))
    return block
