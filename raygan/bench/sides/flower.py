"""Flower's simulation with FedGAN on the same networks: a plain step of torch on each client, FedAvg on its server.

Needs Flower with its simulation (the extra `flower`). Optimizers begin anew in every round, as a Flower client's do that
keeps nothing; a process keeps the data of the clients that it has served.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import Tensor, nn

from raygan.bench.sides.work import Work, tell
from raygan.data import load_client
from raygan.nn.blocks import Networks
from raygan.nn.losses import gan_loss
from raygan.nn.network import adam, frozen, run_blocks
from raygan.nn.start import initial_networks
from raygan.randomness import stream
from raygan.run.plan import make_plan


class TimedFedAvg(FedAvg):
    """Notes when each round's average is there."""

    def __init__(self, ends: list[float]) -> None:
        super().__init__(fraction_evaluate=0.0)
        self._ends = ends

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
        """The average, and the time."""
        averaged = super().aggregate_train(server_round, replies)
        if averaged[0] is None:
            raise RuntimeError(f"no client of round {server_round} has answered")
        self._ends.append(time.perf_counter())
        return averaged


def main() -> None:
    """Times whole rounds, from the first one's end to the last one's."""
    work, ends = Work.given(), list[float]()
    with redirect_stdout(sys.stderr):
        clients = {"client_resources": {"num_cpus": 1}}
        run_simulation(server_app(work, ends), client_app(work), work.clients, backend_config=clients)
    tell(work.rounds * work.steps * work.clients * work.batch_size, ends[work.rounds] - ends[0])


def server_app(work: Work, ends: list[float]) -> ServerApp:
    """FedAvg of both networks, begun as raygan begins."""
    app = ServerApp()

    @app.main()
    def run(grid: Grid, context: Context) -> None:
        plan = make_plan(work.config(algorithm="fed_gan"))
        arrays = ArrayRecord(_module(initial_networks(plan.layout.spec, plan.config)).state_dict())
        TimedFedAvg(ends).start(grid, arrays, num_rounds=work.rounds + 1)

    return app


def client_app(work: Work) -> ClientApp:
    """One local epoch of both networks."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        images, labels, networks = _client(work, int(context.node_config["partition-id"]))
        module = _module(networks)
        module.load_state_dict(message.content["arrays"].to_torch_state_dict())
        _local_epoch(work, networks, images, labels)
        arrays, metrics = ArrayRecord(module.state_dict()), MetricRecord({"num-examples": len(labels)})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return app


@cache
def _client(work: Work, number: int) -> tuple[Tensor, Tensor, Networks]:
    """Its images, labels, and networks to load into."""
    plan = make_plan(work.config(algorithm="fed_gan"))
    data = load_client(plan.layout.clients[number].data)
    order = np.concatenate(list(data.epoch_batches(stream(0, "batches", number), work.batch_size)))
    images, labels = data.batch(order)
    return torch.from_numpy(images), torch.from_numpy(labels), initial_networks(plan.layout.spec, plan.config)


def _module(networks: Networks) -> nn.Module:
    return nn.ModuleDict({"g": nn.ModuleList(networks.generator), "d": nn.ModuleList(networks.discriminator)})


def _local_epoch(work: Work, networks: Networks, images: Tensor, labels: Tensor) -> None:
    """Steps over shuffled minibatches: D on fakes and reals, then G."""
    config, (g, d) = work.config(), (networks.generator, networks.discriminator)
    training, latent_size = config.training, config.model.latent_size
    update_g = adam(g, training.lr_of("generator"), training.betas)
    update_d = adam(d, training.lr_of("discriminator"), training.betas)
    loss = gan_loss(training.loss)
    assert update_g is not None
    assert update_d is not None
    for chosen in torch.randperm(len(labels)).split(work.batch_size):
        reals, y = images[chosen], labels[chosen]
        fakes = run_blocks(g, torch.randn(len(y), latent_size), y)
        of_reals = run_blocks(d, reals, y)
        loss.discriminator(run_blocks(d, fakes.detach(), y), of_reals).backward()
        update_d.step()
        update_d.zero_grad()
        with frozen(d):
            loss.of_generator(run_blocks(d, fakes, y), of_reals.detach()).backward()
        update_g.step()
        update_g.zero_grad()


if __name__ == "__main__":
    import_module("raygan.bench.sides.flower").main()  # under the name that its workers import
