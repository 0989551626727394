"""A decoder from activations to images: how a server turns back what a head does (He, Zhang, Lee 2019, ACSAC)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torchmetrics.functional.image import structural_similarity_index_measure

from raygan.privacy.sight import Images, Sight, seen

FEATURES, FINE_FEATURES = 48, 16
"""Channels of its convolutions: below the image's size, and at it."""
LR = 4e-3
WINDOW = 7
"""Side of SSIM's window, pixels."""


class Decoder(nn.Module):
    """Activations (N, ...) -> images (N, C, S, S), not bounded: convolutions at the activation's size, then doubled
    step by step to the image's. Without the norms it stays at the mean image and would prove a privacy that is none.

    Args:
        form: of one activation.
        image: (C, S, S).
    """

    def __init__(self, form: tuple[int, ...], image: tuple[int, ...]) -> None:
        super().__init__()
        channels, side, _ = image
        layers: list[nn.Module] = []
        if len(form) != 3:
            small = max(1, side // 4)
            layers += [nn.Flatten(1), nn.LazyLinear(FEATURES * small**2), nn.Unflatten(1, (FEATURES, small, small))]
            form = (FEATURES, small, small)
        size, now = form[1], FEATURES if form[1] < side else FINE_FEATURES
        layers += [*_stage(form[0], now), *_stage(now, now)]
        while size < side:
            size = 2 * size
            after = FEATURES if size < side else FINE_FEATURES
            layers += [nn.Conv2d(now, 4 * after, 3, padding=1), nn.PixelShuffle(2), nn.BatchNorm2d(after), nn.ReLU()]
            now = after
        if size != side:
            layers += [nn.Upsample((side, side), mode="bilinear")]
        self.layers = nn.Sequential(*layers, nn.Conv2d(now, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        images: Tensor = self.layers(x)
        return images


def _stage(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]


def train_decoder(
    sight: Sight, known: Images, batch_size: int, steps: int, seed: int, tick: Callable[[], None] = lambda: None
) -> Decoder:
    """A decoder of what crosses, trained on images that the attacker has.

    Args:
        known: the attacker's images.
        batch_size: of a client, since BatchNorm makes what crosses depend on it.
        steps: of Adam, with a rate that falls to zero.
        tick: called after each step.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        rows = batches(len(known), batch_size, torch.Generator().manual_seed(seed))
        example = sight(*known.batch(next(rows)))
        decoder = Decoder(example.shape[1:], known.images.shape[1:])
        decoder(example)  # gives lazy layers their sizes
        optimizer = torch.optim.Adam(decoder.parameters(), lr=LR)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps, pct_start=0.1)
        for _ in range(steps):
            images, labels = known.batch(next(rows))
            optimizer.zero_grad()
            reconstruction_loss(decoder(sight(images, labels)), images).backward()
            optimizer.step()
            schedule.step()
            tick()
    return decoder


def reconstruction_loss(found: Tensor, images: Tensor) -> Tensor:
    """Squared and absolute error: the second keeps even grounds even, to which SSIM is sensitive."""
    return nn.functional.mse_loss(found, images) + nn.functional.l1_loss(found, images)


def ssim(found: Tensor, images: Tensor) -> Tensor:
    """(N,) structural similarity of images (N, C, S, S) in [-1, 1], by a window of 7 x 7 (Wang et al. 2004)."""
    value = structural_similarity_index_measure(
        found, images, gaussian_kernel=False, kernel_size=WINDOW, data_range=2.0, reduction="none"
    )
    assert isinstance(value, Tensor)
    return value.reshape(-1)


def reconstruct(decoder: Decoder, sight: Sight, of: Images, batch_size: int) -> Tensor:
    """The decoder's images (N, C, S, S), in [-1, 1], of what crosses of a client's."""
    decoder.eval()
    with torch.inference_mode():
        return torch.cat([decoder(x) for x in seen(sight, of, batch_size).split(batch_size)]).clamp(-1, 1)


def batches(num_images: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row numbers of a batch, shuffled anew in each pass, without end; of all where they are fewer."""
    size = min(batch_size, num_images)
    while True:
        order = torch.randperm(num_images, generator=generator)
        yield from (rows for rows in order.split(size) if len(rows) == size)
