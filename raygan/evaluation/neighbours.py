"""Where generated images lie among the real ones: density and coverage (Naeem et al. 2020, arXiv 2002.09797).

Around each real image is a ball that reaches to its k-th nearest other real image, in the classifier's features,

    density  = 1/(k M) sum over generated y of the number of balls in which y lies
    coverage = 1/N sum over real x of [some generated y lies in the ball of x]

Density tells whether samples are where real images are (1 for real ones, and more where they crowd); coverage how much of
what real images show is generated: it falls where a generator has collapsed, however good each of its images is. Both
expect as many generated images as real ones. A point on a ball's edge lies in it.
"""

from __future__ import annotations

import torch

NEAREST = 5
"""k."""


class Balls:
    """The balls of real images, features (N, F); of N <= k images they reach to the farthest."""

    def __init__(self, real: torch.Tensor) -> None:
        self._centres, self._k = real.double(), min(NEAREST, len(real) - 1)
        near = _distances(self._centres, self._centres).topk(self._k + 1, largest=False).values
        self._radii = near[:, -1]  # the nearest is the image itself

    def __len__(self) -> int:
        return len(self._centres)

    def coverage(self, generated: torch.Tensor) -> float:
        """Of features (M, F), from 0 to 1."""
        return float(self._inside(generated).any(dim=1).double().mean())

    def density(self, generated: torch.Tensor) -> float:
        """Of features (M, F), from 0."""
        return float(self._inside(generated).sum()) / (max(self._k, 1) * len(generated))

    def _inside(self, generated: torch.Tensor) -> torch.Tensor:
        """(N, M): whether the ball has the point."""
        return _distances(self._centres, generated.double()) <= self._radii[:, None]


def _distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Exact for equal points: those by products of matrices are not."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
