"""A client's minibatches: the same for whatever asks for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from raygan.config.loading import make_config
from raygan.data import load_client
from raygan.errors import DataError
from raygan.parties.data_owner import DataOwner
from raygan.randomness import stream, torch_seed
from raygan.run.plan import Plan, make_plan


@pytest.fixture
def plan(two_clients: dict) -> Plan:
    training = two_clients["training"] | {"local_epochs": 2, "steps": "own_epochs"}
    return make_plan(make_config(two_clients | {"training": training, "seed": 5}))


def owner_of(plan: Plan, client: int, **changes: object) -> DataOwner:
    data = replace(plan.layout.clients[client].data, **changes)
    return DataOwner(client, data, plan.config.training, plan.config.seed, 8, again=bool(changes))


def test_minibatches_follow_from_seed_round_and_client(plan: Plan) -> None:
    """16 images a client and 2 epochs of batches of 8 make 4 steps; drawn here from the streams themselves."""
    owner, images = owner_of(plan, 1), load_client(plan.layout.clients[1].data)
    held = len(images)
    assert (owner.num_held, owner.inventory().num_images) == (held, held)
    steps = 2 * owner.inventory().batches_per_epoch
    for number in (3, 0):
        owner.begin_round(number)
        assert [owner.takes_part(step) for step in (0, steps - 1, steps)] == [True, True, False]
        shuffle = stream(5, "batches", number, 1)
        expected = [*images.epoch_batches(shuffle, 8), *images.epoch_batches(shuffle, 8)]
        latent = torch.Generator().manual_seed(torch_seed(5, "latent", number, 1))
        for step, indices in enumerate(expected):
            mine, (reals, labels) = owner.minibatch(step), images.batch(indices)
            np.testing.assert_array_equal(mine.images.numpy(), reals)
            np.testing.assert_array_equal(mine.labels.numpy(), labels)
            assert torch.equal(mine.z, torch.randn(len(labels), 8, generator=latent))


def test_everybody_takes_part_in_every_step_with_further_passes(plan: Plan) -> None:
    everybody = plan.config.training.model_copy(update={"steps": "everybody"})
    held = plan.layout.clients[1].data
    owner, own_epochs = DataOwner(1, held, everybody, 5, 8), owner_of(plan, 1)
    images, shuffle = load_client(held), stream(5, "batches", 3, 1)
    steps = 2 * owner.inventory().batches_per_epoch
    expected = [batch for _ in range(4) for batch in images.epoch_batches(shuffle, 8)]
    owner.begin_round(3)
    own_epochs.begin_round(3)
    for step, indices in enumerate(expected):
        assert owner.takes_part(step)
        mine = owner.minibatch(step)
        np.testing.assert_array_equal(mine.labels.numpy(), images.batch(indices)[1])
        if step < steps:
            assert torch.equal(mine.z, own_epochs.minibatch(step).z), "where its own epochs go on, nothing differs"


def test_data_that_cannot_be_read_is_an_error_the_first_time_and_a_fault_again(plan: Plan) -> None:
    data = plan.layout.clients[0].data
    gone = data.domain.model_copy(update={"npz": "/nowhere/at_all.npz"})
    with pytest.raises(DataError, match="nowhere"):
        DataOwner(0, replace(data, domain=gone), plan.config.training, 0, 8)
    owner = owner_of(plan, 0, domain=gone)
    assert owner.unreadable is not None
    owner.begin_round(0)
    assert (owner.num_held, owner.inventory().batches_per_epoch, owner.takes_part(0)) == (0, 0, False)
