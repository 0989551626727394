"""What is done so that others learn less of a client: `privacy` in the configuration."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from raygan.config.numbers import NonNegative, Number, Positive


class DpConfig(BaseModel):
    """Differential privacy of D, of one image of a client more or less (`raygan/nn/private.py`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    epsilon: Positive = 10.0
    """The budget of each client: it takes no step that would spend more, and the run ends where all have spent theirs."""
    delta: Annotated[float, Number, Field(gt=0, lt=1)] = 1e-5
    """The delta at which epsilon is told; well below 1 / images of a client."""
    clip: Positive = 1.0
    """C: the longest gradient of one image that counts in full, L2 norm over all of D."""
    noise_multiplier: Annotated[Positive, Field(le=1000)] = 1.0
    """sigma: Gaussian noise of standard deviation sigma C is added to the sum of the clipped gradients."""
    seeded: bool = False
    """Whether noise and draws follow from the run's seed: for simulations, since who knows the seed can take the noise
    off again. Without it no two runs are the same."""


class PrivacyConfig(BaseModel):
    """Defences. What each is worth, and against whom, is in `raygan/docs/privacy.md`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    secure_aggregation: bool = False
    """Whether aggregators learn only weighted sums of a cluster's members, and never one member's networks (needs the
    extra `privacy`). Clusters then have at least three members, and a block that fewer of them hold is in no sum."""
    hide_discriminator: bool = False
    """Whether D's blocks on clients stay with clients: they begin from a secret that clients alone share, who alone can
    read their sums, and files of them are encrypted. Needs `secure_aggregation`; fakes' labels are then even."""
    keys: str = "~/.local/share/raygan/keys"
    """Folder on each client's machine where it keeps that secret, for `--resume`. It must not be the run's own."""
    distance_correlation: NonNegative = 0.0
    """w: each client adds w times the distance correlation of its real images and what D's head makes of them to D's
    loss, where D is cut (`huscf`; NoPeek). 0: nothing. It is no differential privacy."""
    activation_noise: NonNegative = 0.0
    """s: what D's head sends is clipped, each sample to the running mean of their sizes (root mean square), and Gaussian
    noise of s times that is added, where D is cut (`huscf`). 0: nothing. It is no differential privacy."""
    dp: DpConfig | None = None
    """Train D with differential privacy, where it lies whole on the client (`fed_gan`, `md_gan`, `fed_split_gan`,
    `local`; needs the extra `dp`); None: without. `{}`: as its keys are by default."""
