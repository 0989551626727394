"""A discriminator that is trained with differential privacy: DP-SGD (Abadi et al. 2016, arXiv 1607.00133), by Opacus.

An update, with B images expected, C the clipping norm, sigma the noise multiplier, S the drawn real images:

    g = 1/B (sum_{x in S} clip(grad l(x)) + sigma C N(0, I)) + 1/B sum_{B fakes} clip(grad l(fake))
    clip(v) = v min(1, C / |v|)

Each image is in S by itself with a chance of q = B / n (`raygan.parties.private_owner`), so an update is one step of the
Poisson-subsampled Gaussian mechanism. Fakes come from a generator that has learnt from D alone: what they are is known
from what was released before, so their gradients need no noise; they are clipped so that neither side outweighs the
other.

Shapes: images (B, C, S, S) float32 in [-1, 1], labels (B,) int64, logits (B,).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import grad, vmap

from raygan.config.privacy import DpConfig
from raygan.config.schema import TrainingConfig
from raygan.errors import ConfigError, reason
from raygan.nn.backward import run_backward
from raygan.nn.blocks import Networks
from raygan.nn.losses import GanLoss
from raygan.nn.network import gradient_norm, run_blocks
from raygan.nn.spec import NetworkSpec
from raygan.nn.trained import DiscriminatorUpdate, Noise, TrainedDiscriminator
from raygan.wire.codec import CPU

PART = 64
"""Images whose gradients are in memory at a time."""
TRIED = 4
"""Images of the trial."""
NEEDED, OTHERS = "install raygan[dp]", "use other networks (model.networks)"
Slope = Callable[[GanLoss, Tensor], Tensor]


class PrivateDiscriminator(TrainedDiscriminator):
    """D. What an update tells says nothing of the real images that D's new weights do not say: no value of theirs, and no
    number of them.

    Args:
        anchor: index of the anchor block.

    Raises:
        ConfigError: the extra `dp` is missing, or Opacus cannot take the blocks.
    """

    def __init__(
        self,
        blocks: Iterable[nn.Module],
        anchor: int,
        training: TrainingConfig,
        device: torch.device,
        dp: DpConfig,
    ) -> None:
        super().__init__(blocks, anchor, training, device)
        self._device = device
        self._hooks, self._optimizer_of_sums = _with_opacus(self._blocks, self._optimizer, dp)
        self._hooks.disable_hooks()  # G learns through D without them

    def learn(
        self, fakes: Tensor, fake_labels: Tensor, images: Tensor, labels: Tensor, noise: Noise | None = None
    ) -> DiscriminatorUpdate:
        """One update; of the fakes the first B (`noise.expected`) count.

        Args:
            images: drawn as the module says; there may be none.
        """
        assert noise is not None, "an update without noise is not private"
        self._optimizer_of_sums.generator = torch.Generator(self._device).manual_seed(noise.seed)
        self._optimizer_of_sums.expected_batch_size = noise.expected
        reals = [(*part, _slope_of_real) for part in _parts(images, labels)]
        made = [(*part, _slope_of_fake) for part in _parts(fakes[: noise.expected], fake_labels[: noise.expected])]
        logits = [self._clipped(*part) for part in (*reals, *made[:-1])]
        logits.append(self._clipped(*made[-1], is_last=True))
        norm = gradient_norm(self._optimizer)
        self._optimizer.step()
        self._optimizer_of_sums.zero_grad()
        of_fakes = torch.cat(logits[len(reals) :])
        loss, nothing = self._loss.discriminator(of_fakes, torch.zeros_like(of_fakes)), torch.zeros_like(norm)
        return DiscriminatorUpdate(loss, nothing, of_fakes.sigmoid().sum(), norm, 0, len(of_fakes))

    def _clipped(self, images: Tensor, labels: Tensor, slope: Slope, is_last: bool = False) -> Tensor:
        """Adds the clipped gradients of these images' losses to the sum, which noise is added to where they are the last.

        Returns:
            Their logits.
        """
        self._hooks.enable_hooks()
        logits: Tensor = self._hooks(images, labels)
        run_backward([logits], [vmap(partial(slope, self._loss))(logits.detach())])
        self._hooks.disable_hooks()
        self._optimizer_of_sums.signal_skip_step(do_skip=not is_last)
        if not self._optimizer_of_sums.pre_step():
            self._optimizer_of_sums.zero_grad()
        return logits.detach()


def discriminator_of(
    blocks: Iterable[nn.Module], anchor: int, training: TrainingConfig, device: torch.device, dp: DpConfig | None
) -> TrainedDiscriminator:
    """A discriminator that is trained as the configuration says; arguments and errors as of the two."""
    if dp is None:
        return TrainedDiscriminator(blocks, anchor, training, device)
    return PrivateDiscriminator(blocks, anchor, training, device, dp)


class _Discriminator(nn.ModuleList):
    """D's blocks as one module, which Opacus looks into."""

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, S, S), labels (B,) -> logits (B,)."""
        return run_blocks(self, images, labels)


def _slope_of_real(loss: GanLoss, logit: Tensor) -> Tensor:
    """The derivative of D's loss on one real image with respect to its logit: of no other image, whatever the loss."""
    slope: Tensor = grad(lambda one: loss.discriminator(torch.zeros_like(one)[None], one[None]))(logit)
    return slope


def _slope_of_fake(loss: GanLoss, logit: Tensor) -> Tensor:
    """The same of one fake."""
    slope: Tensor = grad(lambda one: loss.discriminator(one[None], torch.zeros_like(one)[None]))(logit)
    return slope


def _parts(images: Tensor, labels: Tensor) -> list[tuple[Tensor, Tensor]]:
    """At most `PART` images each; of no image none."""
    return list(zip(images.split(PART), labels.split(PART), strict=True)) if len(labels) else []


def _with_opacus(blocks: Iterable[nn.Module], optimizer: torch.optim.Optimizer, dp: DpConfig) -> tuple[Any, Any]:
    """Opacus' module, which has gradients image by image, and its optimizer, which clips, adds and adds noise."""
    try:
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer
    except ImportError as error:
        raise ConfigError("privacy.dp", f"Opacus cannot be imported ({reason(error)})", NEEDED) from None
    warnings.filterwarnings(
        "ignore", "Full backward hook is firing"
    )  # of the first layer and of labels: it is meant to
    try:
        module = GradSampleModule(_Discriminator(blocks), loss_reduction="sum")
    except Exception as error:  # Opacus' words for layers that mix images
        found = f"Opacus cannot take this discriminator ({reason(error)})"
        raise ConfigError("privacy.dp", found, OTHERS) from None
    return module, DPOptimizer(
        optimizer,
        noise_multiplier=dp.noise_multiplier,
        max_grad_norm=dp.clip,
        expected_batch_size=1,  # of each update its own
        loss_reduction="mean",
        secure_mode=True,  # against attacks on the rounding of floating-point noise
    )


def try_private(networks: Networks, spec: NetworkSpec, training: TrainingConfig, dp: DpConfig) -> None:
    """One update on random images, before anything begins.

    Raises:
        ConfigError: as `PrivateDiscriminator`, and where it fails, where a buffer of D changes with the images that it
            sees, or where what it makes of an image depends on the others of its batch.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        images = torch.rand(TRIED, spec.channels, spec.image_size, spec.image_size) * 2 - 1
        labels = torch.arange(TRIED) % spec.num_classes
        private = PrivateDiscriminator(networks.discriminator, 0, training, CPU, dp)
        before = [buffer.clone() for block in private.blocks.values() for buffer in block.buffers()]
        with blaming_privacy("the discriminator cannot be trained image by image"):
            private.learn(images, labels, images, labels, Noise(0, TRIED))
            with torch.no_grad():
                together, alone = private(images, labels), private(images[:1], labels[:1])
        after = [buffer for block in private.blocks.values() for buffer in block.buffers()]
        if any(not torch.equal(old, new) for old, new in zip(before, after, strict=True)):
            raise ConfigError("privacy.dp", "a buffer of the discriminator changes with the images it sees", OTHERS)
        if not torch.allclose(together[:1], alone, rtol=1e-3, atol=1e-4):
            found = "what the discriminator makes of an image depends on the others of its minibatch"
            raise ConfigError("privacy.dp", found, OTHERS)


@contextmanager
def blaming_privacy(what: str) -> Iterator[None]:
    """Whatever is raised becomes one line of `privacy.dp`."""
    try:
        yield
    except Exception as error:
        raise ConfigError("privacy.dp", f"{what} ({type(error).__name__}: {reason(error)})", OTHERS) from error
