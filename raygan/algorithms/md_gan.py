"""MD-GAN (Hardy, Le Merrer, Sericola 2019, arXiv 1811.03850): one G on a server, and a D on each client that wanders.

In each step the server makes k batches X_0, ..., X_{k-1} of fakes with labels. Client n (of K) trains its D on its own
minibatch and X_{n mod k}, and tells the server how its D takes the next batch, X_g with g = (n + 1) mod k,

    F_n = d L_G(D_n(X_g)) / d X_g,   L_G the mean over the batch

G's gradient is the mean of the clients',

    dG = 1/K sum_n F_n dX_g/dG

k is 1, or max(2, floor(ln K)) (`md_gan.num_batches`). After each `md_gan.swap_every` epochs every D moves to another
client, by a random derangement, and its optimizer begins anew. The labels of fakes are even over all classes: nobody
tells the server which a client has, and a D without a class's images takes all of that class for fakes. One model serves
everybody: where domains share the labels' numbers, a "3" is half a digit and half a dress.

What leaves a client: F_n, 4 b d bytes a step (b batch, d floats of an image), and D, 4 (|D| + buffers) bytes a swap. What
comes: 2 b (4 d + 8) bytes of fakes and labels a step (half of it where k = 1), and a D a swap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from raygan.algorithms.base import Task
from raygan.algorithms.served import ServedAlgorithm
from raygan.config.schema import MdGanConfig
from raygan.errors import ConfigError
from raygan.randomness import stream
from raygan.runtime.averages import Averages, collect, workers_of
from raygan.runtime.backend import by_key
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs
from raygan.served.server import GeneratorServer
from raygan.served.wandering import WanderingClients

Served = Federation[WanderingClients, GeneratorServer]
T = TypeVar("T")


class MdGan(ServedAlgorithm[WanderingClients, GeneratorServer]):
    """Discriminators see all clients' images, one client after the other."""

    name = "md_gan"
    discloses = None
    worker_type = WanderingClients

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._settings = task.config.md_gan or MdGanConfig()
        self.num_batches = num_batches(self._settings.num_batches, len(task.clients))
        if self._settings.swap_every is not None and len(task.clients) == 1:
            found = "md_gan with one client, whose discriminator has nowhere to go"
            raise ConfigError("algorithm", found, "add clients, choose another, or set md_gan.swap_every: null")

    def server(self) -> Callable[..., GeneratorServer]:
        """Makes the server, given its device."""
        return partial(GeneratorServer, self.layout, self._config, self.num_batches, "mean")

    def end_epoch(self, federation: Served, cohort: Cohort, epochs: Epochs, number: int) -> Averages:
        """The swap, where one is due. A D that is lost on its way is lost: who was to have it keeps its own."""
        every = self._settings.swap_every
        if every is None or number % every:
            return {}
        present = list(federation.check_in(cohort, epochs))
        if len(present) > 1:
            order = deranged(present, stream(self._config.seed, "swap", number))
            states = collect(federation, self.layout, present, WanderingClients.states)
            arriving = {client: states[other] for client, other in zip(present, order, strict=True)}
            answers = {}
            for worker in workers_of(federation, self.layout, present):
                mine = {c: arriving[c] for c in self.layout.workers[worker].ids if c in arriving}
                answers[worker] = federation.workers[worker].call(WanderingClients.swap, by_key(mine))
            epochs.lost.update(federation.loaded([], answers))
        return {}


def num_batches(asked: int | str, num_clients: int) -> int:
    """k; `auto` is max(2, floor(ln K)), and 1 of one client.

    Raises:
        ConfigError: more batches than clients.
    """
    if not isinstance(asked, int):
        return min(num_clients, max(2, math.floor(math.log(num_clients))))
    if asked > num_clients:
        found = f"{asked} batches for {num_clients} clients"
        raise ConfigError("md_gan.num_batches", found, "lower it, or set it to auto")
    return asked


def deranged(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    """The items in a random order in which none is at its old place, any such order alike.

    Raises:
        ValueError: one item alone has no other place.
    """
    if len(items) < 2:
        raise ValueError(f"{len(items)} items have no derangement")
    while True:  # 2.7 times on average
        order = rng.permutation(len(items))
        if (order != np.arange(len(items))).all():
            return [items[place] for place in order]
