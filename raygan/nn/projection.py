"""Networks whose discriminator takes the label in its last block, which is always on the client.

A projection discriminator (Miyato and Koyama 2018, arXiv 1802.05637): with phi(x) the features that come into the last
block and V_y a learned vector of class y,

    logit = w . phi(x) + b + V_y . phi(x)

So no block before it sees a label, and what a client sends from its head of D has none in it.

Shape legend: B batch, F features, s side of the last map.
"""

from __future__ import annotations

from torch import Tensor, nn

from raygan.nn.blocks import Networks, down, paper_networks, spectral
from raygan.nn.spec import NetworkSpec


class ProjectionBlock(nn.Module):
    """Last discriminator block: (B, F, s, s) or (B, F), labels (B,) -> logits (B,).

    Args:
        features: F s s.
    """

    takes_labels = True

    def __init__(self, spec: NetworkSpec, features: int) -> None:
        super().__init__()
        classes, bound = nn.Embedding(spec.num_classes, features), features**-0.5
        nn.init.uniform_(classes.weight, -bound, bound)  # as the linear layer's weights are
        self.linear, self.classes = spectral(nn.Linear(features, 1), spec), spectral(classes, spec)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """phi(x) (B, ...), labels (B,) -> logits (B,)."""
        phi = x.flatten(1)
        logits: Tensor = self.linear(phi).flatten() + (self.classes(labels) * phi).sum(1)
        return logits


def projection_networks(spec: NetworkSpec) -> Networks:
    """The paper's networks, with D's label in its last block and in no other."""
    networks = plane_projection_networks(spec)
    networks.discriminator[0] = down(spec, spec.channels, spec.scaled(64), 4, 2)
    return networks


def plane_projection_networks(spec: NetworkSpec) -> Networks:
    """The paper's networks, with D's label as an image plane in its first block and again in its last."""
    networks = paper_networks(spec)
    networks.discriminator[-1] = ProjectionBlock(spec, spec.scaled(256) * (spec.image_size // 8) ** 2)
    return networks
