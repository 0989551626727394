"""UA-GAN (Zhang et al., ICLR 2021, arXiv 2102.04655): one G on a server, against all clients' Ds as one.

In each step all clients get the same fakes x with labels y. Client j trains its own D_j, which never leaves it, on them
and its own minibatch, and tells the server its logits l_j(x) = log D_j(x) / (1 - D_j(x)). The server mixes the odds,

    Phi(x) = sum_j pi_j(y) D_j(x) / (1 - D_j(x)),   D(x) = Phi / (1 + Phi),   pi_j(y) = n_j(y) / sum_i n_i(y)

n_j(y) a client's images of class y: D's logit is log sum_j exp(log pi_j(y) + l_j(x)). G's loss on these logits goes
back to the clients as gradients with respect to their l_j, and from them to the server as gradients with respect to x,
which sum up to G's. Fakes' labels are even over the classes that the round's clients hold. The paper adds a penalty on
D's gradient at real images, which is left out here as for every other algorithm (`training.r1` adds it). One model
serves everybody: where domains share the labels' numbers, a "3" is half a digit and half a dress.

What leaves a client: 4 b (d + 1) bytes a step (b batch, d floats of an image), and once a round its number of images of
each class, which no other algorithm asks for. What comes: b (4 d + 8 + 4) bytes a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from raygan.algorithms.served import ServedAlgorithm
from raygan.runtime.averages import Averages
from raygan.runtime.backend import Handle, Reference, by_key, together
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs
from raygan.served.mixed import MixedClients
from raygan.served.mixing import MixingServer
from raygan.wire.records import Fakes, Feedback, Lost, StepId

Served = Federation[MixedClients, MixingServer]


class UaGan(ServedAlgorithm[MixedClients, MixingServer]):
    """One discriminator in the sense of the product, made of the clients' own."""

    name = "ua_gan"
    discloses = "how many images of each class it holds"
    compares_logits = False
    worker_type = MixedClients
    mixes_logits = True

    def server(self) -> Callable[..., MixingServer]:
        """Makes the server, given its device."""
        return partial(MixingServer, self.layout, self._config)

    def begin(self, federation: Served, cohort: Cohort) -> None:
        """The server learns who of the round holds how many images of each class."""
        counts = []
        for worker, handle in federation.workers.items():
            asked = handle.call_many(len(self.layout.workers[worker].ids), MixedClients.class_counts)
            of_worker = zip(self.layout.workers[worker].ids, asked, strict=True)
            counts += [reference for client, reference in of_worker if client in cohort.clients]
        federation.server.call(MixingServer.know, together(counts))

    def feedback(
        self,
        federation: Served,
        step: StepId,
        workers: Mapping[int, Handle[MixedClients]],
        fakes: Mapping[int, Reference[Fakes | Lost]],
    ) -> dict[int, Reference[Feedback | Lost]]:
        """Logits up, gradients with respect to them down, gradients with respect to the fakes up."""
        logits = {worker: handle.call(MixedClients.logits, step, fakes[worker]) for worker, handle in workers.items()}
        mixed = federation.server.call_many(len(workers), MixingServer.mix, step, by_key(logits))
        answers = zip(workers.items(), mixed, strict=True)
        return {worker: handle.call(MixedClients.answer, step, mine) for (worker, handle), mine in answers}

    def end_epoch(self, federation: Served, cohort: Cohort, epochs: Epochs, number: int) -> Averages:
        """Nothing: every discriminator stays where it is."""
        return {}
