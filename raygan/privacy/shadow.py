"""Inversion without the head: the attacker trains one of its own whose activations look like the client's, and a decoder
with it (in the manner of SDAR: Zhu, Luo, Liu, Zhang, Lee 2025, NDSS, arXiv 2310.10483, without its decoder's critic)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from raygan.nn.network import run_blocks
from raygan.privacy.decoder import LR, Decoder, batches, reconstruction_loss
from raygan.privacy.sight import Disturbance, Images, Sight, head_of, undisturbed

CRITIC_WEIGHT = 0.04
CRITIC_LR = 1e-3


class Shadow(NamedTuple):
    """What such an attacker has."""

    decoder: Decoder
    head: Sight
    """What its own head makes of images."""


def train_shadow(
    blocks: Sequence[nn.Module],
    observed: Tensor,
    known: Images,
    batch_size: int,
    steps: int,
    seed: int,
    tick: Callable[[], None] = lambda: None,
    disturbance: Disturbance = undisturbed,
) -> Shadow:
    """A decoder for activations whose head nobody has told, and the head in its place.

    Args:
        blocks: of the head's form, with initial weights of the attacker's own; they are copied.
        observed: (N, ...), what crossed of the client's images.
        known: the attacker's images.
        batch_size, steps, tick: as for `train_decoder`.
        disturbance: what the client is known to do to its activations, so the attacker does it as well.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = nn.ModuleList(copy.deepcopy(block).train() for block in blocks)
        form = tuple(observed.shape[1:])
        decoder, critic = Decoder(form, tuple(known.images.shape[1:])), _critic(form)
        decoder(observed[:2]), critic(observed[:2])  # gives lazy layers their sizes
        attacker = torch.optim.Adam([*head.parameters(), *decoder.parameters()], lr=LR)
        judge = torch.optim.Adam(critic.parameters(), lr=CRITIC_LR)
        schedule = torch.optim.lr_scheduler.OneCycleLR(attacker, LR, total_steps=steps, pct_start=0.1)
        generator = torch.Generator().manual_seed(seed)
        mine, theirs = (batches(count, batch_size, generator) for count in (len(known), len(observed)))
        for _ in range(steps):
            images, labels = known.batch(next(mine))
            made = disturbance(run_blocks(head, images, labels))
            attacker.zero_grad()
            loss = reconstruction_loss(decoder(made), images)
            (loss + CRITIC_WEIGHT * nn.functional.softplus(-critic(made)).mean()).backward()
            attacker.step()
            schedule.step()
            judge.zero_grad()
            seen = critic(observed[next(theirs)])
            (nn.functional.softplus(-seen).mean() + nn.functional.softplus(critic(made.detach())).mean()).backward()
            judge.step()
            tick()
    return Shadow(decoder, head_of(list(head), disturbance=disturbance))


def _critic(form: tuple[int, ...]) -> nn.Module:
    """Activations (N, ...) -> logits (N, 1): the client's, or the attacker's?"""
    if len(form) != 3:
        return nn.Sequential(nn.Flatten(1), nn.LazyLinear(128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
    return nn.Sequential(
        nn.Conv2d(form[0], 32, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Flatten(1), nn.LazyLinear(1)
    )
