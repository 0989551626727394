"""The moving average of weights, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from raygan.config.schema import TrainingConfig
from raygan.nn.average import WeightAverage, weight_average
from raygan.nn.network import block_state, load_block_state


def scalar(block: nn.Module, value: float) -> None:
    block.weight.data.fill_(value)


@pytest.fixture
def blocks() -> dict[int, nn.Module]:
    block = nn.Linear(1, 1, bias=False)
    scalar(block, 100.0)
    return {3: block}


def value_of(average: WeightAverage) -> float:
    return float(block_state(average.blocks[3])["weights.weight"].item())


def test_it_is_corrected_for_its_beginning_so_that_initial_weights_do_not_count(blocks: dict[int, nn.Module]) -> None:
    average = WeightAverage(blocks, decay=0.5)
    found = []
    for value in (1.0, 2.0, 3.0):
        scalar(blocks[3], value)
        average.update()
        found.append(value_of(average))
    # m = .5, 1.25, 2.125 and c = .5, .75, .875
    assert found == pytest.approx([1.0, 5 / 3, 17 / 7], rel=1e-6)
    assert float(average.blocks[3].mass) == 0.875
    assert blocks[3].weight.item() == 3.0, "training does not see it"


def test_a_half_life_is_one_whatever_the_batch(blocks: dict[int, nn.Module]) -> None:
    """64 images at 1, then 64 at 0 with a half-life of 64: the first count half as much as the second."""
    for batch in (64, 16, 2):
        training = TrainingConfig(batch_size=batch, average={"half_life_images": 64})
        average = weight_average(blocks, training)
        assert average is not None
        for value in (1.0, 0.0):
            scalar(blocks[3], value)
            for _ in range(64 // batch):
                average.update()
        assert value_of(average) == pytest.approx(1 / 3, rel=1e-5)


def test_there_is_none_where_none_is_asked_for(blocks: dict[int, nn.Module]) -> None:
    assert weight_average(blocks, TrainingConfig(average=None)) is None


def test_running_statistics_are_averaged_and_counters_are_the_last() -> None:
    norm = nn.BatchNorm1d(1)
    average = WeightAverage({0: norm}, decay=0.5)
    for mean in (1.0, 2.0):
        norm.running_mean.fill_(mean)
        norm.num_batches_tracked += 1
        average.update()
    state = block_state(average.blocks[0])
    assert float(state["weights.running_mean"][0]) == pytest.approx(5 / 3)
    assert int(state["weights.num_batches_tracked"]) == 2


def test_a_block_that_replaces_a_buffer_is_followed() -> None:
    norm = nn.BatchNorm1d(1)
    average = WeightAverage({0: norm}, decay=0.5)
    norm.running_mean = torch.tensor([7.0])
    average.update()
    assert float(block_state(average.blocks[0])["weights.running_mean"][0]) == 7.0


def test_it_goes_on_from_an_average_of_averages_with_its_mass(blocks: dict[int, nn.Module]) -> None:
    """Two that took in 1 and 2 updates are averaged with weights 1/4 and 3/4: mass .25 * .5 + .75 * .75 = .6875."""
    average = WeightAverage(blocks, decay=0.5)
    taken_over = {"mass": np.array(0.6875), "weights.weight": np.float32([[4]])}
    load_block_state(average.blocks[3], taken_over)
    scalar(blocks[3], 8.0)
    average.update()
    assert float(average.blocks[3].mass) == 0.84375
    assert value_of(average) == pytest.approx(4 + 0.5 / 0.84375 * 4, rel=1e-6)


def test_blocks_of_unequal_mass_each_go_by_their_own() -> None:
    several = {index: nn.Linear(1, 1, bias=False) for index in (0, 1)}
    average = WeightAverage(several, decay=0.5)
    average.blocks[0].mass.fill_(0.5)
    for index in (0, 1):
        average.blocks[index].get_submodule("weights").weight.data.fill_(0.0)
        scalar(several[index], 3.0)
    average.update()
    values = [block_state(average.blocks[index])["weights.weight"].item() for index in (0, 1)]
    assert values == pytest.approx([2.0, 3.0])
