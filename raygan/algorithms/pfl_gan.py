"""In the style of PFL-GAN (Wijesinghe, Zhang, Ding 2023, arXiv 2308.12454), whose settings are not published in what we
have: first every client trains alone, then each also on what the generators of those make who are like it.

After `pfl_gan.local_rounds` rounds of `local` every client gives its generator to the server, once, with its number of
images of each class. The server has each generator make a set of images in these proportions, trains a classifier on
all of them, and takes a set's features for a Gaussian N(mu_k, diag(s_k^2)). From these come weights

    w_kj = softmax over j of -KL(k || j) / (T m),   w_kk = 0   (`raygan/federated/affinity.py`)

and each client k gets `pfl_gan.synthetic_images` images, each of set j with chance w_kj. In the rounds after that a
share of each minibatch (`pfl_gan.synthetic_share`) is drawn from them; z, the number of images and of steps stay.

What leaves a client, once: G, 4 (|G| + buffers) bytes, and 8 bytes a class. What comes, once: N (4 d + 8) bytes, N images
of d floats with their labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import cast

from raygan.algorithms.base import Task
from raygan.algorithms.fleet import parties_of
from raygan.algorithms.local import Local, Whole
from raygan.config.schema import Config, PflGanConfig
from raygan.errors import ConfigError
from raygan.parties.spec import Parties
from raygan.runtime.backend import Reference, together
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs
from raygan.whole.personal import PersonalClients
from raygan.whole.synthetic import SyntheticServer
from raygan.wire.records import ClassCounts, Lost, State

Personal = Federation[PersonalClients, SyntheticServer]
NOBODY = Lost("took no part in the round", "unfit")


class PflGan(Local):
    """As many models as clients."""

    name = "pfl_gan"
    style = "PFL-GAN-style"
    discloses = "how many images of each class it holds"
    worker_type = PersonalClients

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._settings = task.config.pfl_gan or PflGanConfig()
        asked, rounds = self._settings.local_rounds, task.config.training.rounds
        self._local_rounds = max(1, rounds // 2) if asked == "auto" else asked
        if self._local_rounds >= rounds:
            found = f"{self._local_rounds} local rounds of {rounds}"
            raise ConfigError("pfl_gan.local_rounds", found, "lower it, or raise training.rounds")

    @classmethod
    def plans_by_rounds(cls, config: Config) -> bool:
        """Generators are shared after half of them, where nothing else is said."""
        return (config.pfl_gan or PflGanConfig()).local_rounds == "auto"

    def parties(self) -> Parties:
        """A worker for each device, and the server."""
        make_server = partial(SyntheticServer, self.layout, self._config)
        return parties_of(self.layout, self._config, self.worker_type, self.cost, make_server)

    def share(self, federation: Whole, cohort: Cohort, epochs: Epochs, present: Mapping[int, int]) -> None:
        """After the last local round: generators up, mixtures down."""
        if cohort.round + 1 != self._local_rounds:
            return
        personal = cast(Personal, federation)
        generators: dict[int, Reference[State | Lost]] = {}
        counts: dict[int, Reference[ClassCounts | Lost]] = {}
        for worker, handle in personal.workers.items():
            ids = self.layout.workers[worker].ids
            generators |= zip(ids, handle.call_many(len(ids), PersonalClients.generators), strict=True)
            counts |= zip(ids, handle.call_many(len(ids), PersonalClients.class_counts), strict=True)
        nobody = cast("Reference[Lost]", NOBODY)
        clients = self.layout.ids
        told = together([generators[c] if c in present else nobody for c in clients])
        held = together([counts[c] if c in present else nobody for c in clients])
        mixtures = personal.server.call_many(len(self.layout.workers), SyntheticServer.mix, told, held)
        answers = {
            worker: handle.call(PersonalClients.take_in, mixtures[worker])
            for worker, handle in personal.workers.items()
        }
        epochs.lost.update(personal.loaded([], answers))
