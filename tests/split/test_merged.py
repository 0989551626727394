from __future__ import annotations

import pytest
import torch
from torch import nn

from raygan.split.merged import MergedPass
from raygan.split.stages import merge_stages

CUTS = {0: (0, 0), 1: (1, 0), 2: (0, 1)}  # of a network of 5 blocks: the body is 1..3, 2..3 and 1..2
SIZES = {0: 4, 1: 3, 2: 5}


def body() -> dict[int, nn.Module]:
    torch.manual_seed(0)
    return {index: nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Tanh()) for index in (1, 2, 3)}


def run(blocks: dict[int, nn.Module], inputs: dict[int, torch.Tensor]) -> tuple[MergedPass, dict[int, torch.Tensor]]:
    merged, outputs = MergedPass(blocks, observe=2), {}
    for stage in merge_stages(CUTS, 5):
        entering = {key: inputs[key] for key in stage.entering if key in inputs}
        outputs |= merged.forward(stage.blocks, entering, stage.leaving)
    return merged, outputs


def run_back(merged: MergedPass, gradients: dict[int, torch.Tensor]) -> dict[int, torch.Tensor]:
    back: dict[int, torch.Tensor] = {}
    for stage in reversed(merge_stages(CUTS, 5)):
        back |= merged.backward({key: gradients[key] for key in stage.leaving if key in gradients})
    return back


def whole(blocks: dict[int, nn.Module], inputs: dict[int, torch.Tensor]) -> dict[int, torch.Tensor]:
    """The same in one graph: 0 and 2 enter at block 1, 1 at block 2; 2 leaves after 2, 0 and 1 after 3."""
    one = blocks[1](torch.cat([inputs[0], inputs[2]]))
    two = blocks[2](torch.cat([one, inputs[1]]))
    three = blocks[3](torch.cat([two[:4], two[9:]]))
    return {0: three[:4], 1: three[4:], 2: two[4:9]}


@pytest.fixture
def inputs() -> dict[int, torch.Tensor]:
    torch.manual_seed(1)
    return {key: torch.randn(size, 6) for key, size in SIZES.items()}


def test_batchnorm_sees_the_merged_batch(inputs: dict[int, torch.Tensor]) -> None:
    blocks = body()
    run(blocks, inputs)
    reference = body()
    merged = reference[1][0](torch.cat([inputs[0], inputs[2]]))  # 9 rows enter at block 1
    assert torch.allclose(blocks[1][1].running_mean, 0.1 * merged.mean(0), atol=1e-7)
    assert torch.allclose(blocks[1][1].running_var, 0.9 + 0.1 * merged.var(0), atol=1e-6)
    whole(reference, inputs)
    for index in (2, 3):
        assert torch.allclose(blocks[index][1].running_mean, reference[index][1].running_mean, atol=1e-7)
        assert torch.allclose(blocks[index][1].running_var, reference[index][1].running_var, atol=1e-6)


def test_outputs_and_gradients_are_those_of_one_graph(inputs: dict[int, torch.Tensor]) -> None:
    blocks, reference = body(), body()
    merged, outputs = run(blocks, inputs)
    leaves = {key: x.clone().requires_grad_() for key, x in inputs.items()}
    expected = whole(reference, leaves)
    for key in SIZES:
        assert torch.allclose(outputs[key], expected[key], atol=1e-6)
    gradients = {key: torch.randn_like(x) for key, x in expected.items()}
    torch.autograd.backward(list(expected.values()), [gradients[key] for key in expected])
    back = run_back(merged, gradients)
    for key in SIZES:
        assert torch.allclose(back[key], leaves[key].grad, atol=1e-6)
    for index in blocks:
        for mine, other in zip(blocks[index].parameters(), reference[index].parameters(), strict=True):
            assert torch.allclose(mine.grad, other.grad, atol=1e-5)


def test_the_observed_block_gives_each_clients_batch_mean(inputs: dict[int, torch.Tensor]) -> None:
    merged = MergedPass(blocks := body(), observe=1)
    (first, *_) = merge_stages(CUTS, 5)
    merged.forward(first.blocks, {0: inputs[0], 2: inputs[2]}, first.leaving)
    reference = body()[1](torch.cat([inputs[0], inputs[2]]))
    assert torch.allclose(merged.observed[2], reference[4:].mean(0), atol=1e-6)
    assert set(merged.observed) == {0, 2}
    assert len(blocks) == 3


def test_a_client_that_never_came_is_left_out(inputs: dict[int, torch.Tensor]) -> None:
    del inputs[1]
    merged, outputs = run(body(), inputs)
    assert set(outputs) == {0, 2}
    assert set(run_back(merged, {key: torch.ones_like(x) for key, x in outputs.items()})) == {0, 2}


def test_a_client_that_sends_no_gradient_counts_as_zero(inputs: dict[int, torch.Tensor]) -> None:
    first, second = body(), body()
    merged, outputs = run(first, inputs)
    gradients = {key: torch.ones_like(x) for key, x in outputs.items()}
    back = run_back(merged, {0: gradients[0], 2: gradients[2]})
    other, _ = run(second, inputs)
    run_back(other, {**gradients, 1: torch.zeros_like(gradients[1])})
    assert set(back) == {0, 2}
    for mine, reference in zip(first[3].parameters(), second[3].parameters(), strict=True):
        assert torch.equal(mine.grad, reference.grad)


def test_nobody_inside_is_no_error() -> None:
    merged, outputs = run(body(), {})
    assert outputs == {}
    assert run_back(merged, {}) == {}
