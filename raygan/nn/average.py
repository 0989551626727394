"""A moving average of the generator's weights, for samples and scores: training does not see it.

After update t, with theta the weights and buffers of a block and a the decay of an update,

    m_t = a m_(t-1) + (1 - a) theta_t,   c_t = a c_(t-1) + (1 - a),   m_0 = c_0 = 0,   a = 2^(-b / H)

b are the images of a client in an update, H the half-life in images of a client: so head, body and tail, held by
different parties, look back over the same updates, whatever batch and participation are. The average is m_t / c_t, the
bias correction of Adam: initial weights do not count. It is kept itself, with its mass c_t,

    average_t = average_(t-1) + (1 - a) / c_t (theta_t - average_(t-1))

so that what is aggregated is an average of weights, by the rule by which weights are. What it brings to GANs: arXiv
1806.04498 (2019).

BatchNorm's running statistics are averaged as the weights are (as BigGAN does, Brock et al. 2019, arXiv 1809.11096): to
first order these are the statistics of the averaged weights, with which nobody has seen a batch. The last ones, which
StyleGAN copies, are those of other weights; a forward pass for new ones ("standing statistics") would cost clients and
body a round of messages. Whole numbers (counters) are the last ones.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from raygan.config.schema import TrainingConfig
from raygan.names import WEIGHTS, BlockKey


class AveragedBlock(nn.Module):
    """The average of one block; its state has the block's own names under `WEIGHTS`, and `mass`."""

    mass: Tensor

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.add_module(WEIGHTS, copy.deepcopy(block).requires_grad_(False))
        self.register_buffer("mass", torch.zeros((), dtype=torch.float64))  # on the CPU: it is read in each update


class WeightAverage:
    """The average of some blocks of a generator.

    Args:
        blocks: they are trained where they are; before the first update the average is what they are now.
        decay: a, of an update.
    """

    def __init__(self, blocks: Mapping[int, nn.Module], decay: float) -> None:
        self._decay = decay
        self.blocks = {index: AveragedBlock(block) for index, block in blocks.items()}
        self._places = {
            index: list(zip(_places(average.get_submodule(WEIGHTS)), _places(blocks[index]), strict=True))
            for index, average in self.blocks.items()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Takes in what the blocks are now, after an update of theirs."""
        averages: dict[float, list[Tensor]] = defaultdict(list)
        news: dict[float, list[Tensor]] = defaultdict(list)
        for index, average in self.blocks.items():
            mass = self._decay * float(average.mass) + 1 - self._decay
            average.mass.fill_(mass)
            for (averaged, name), (trained, _) in self._places[index]:
                old, new = averaged[name], trained[name]
                if new.is_floating_point():
                    averages[mass].append(old)
                    news[mass].append(new)
                else:
                    old.copy_(new)
        for mass in averages:  # one, but for blocks that were aggregated over others
            torch._foreach_lerp_(averages[mass], news[mass], (1 - self._decay) / mass)


def weight_average(blocks: Mapping[int, nn.Module], training: TrainingConfig) -> WeightAverage | None:
    """As the configuration asks for it; None: it does not."""
    settings = training.average
    return None if settings is None else WeightAverage(blocks, 0.5 ** (training.batch_size / settings.half_life_images))


def averaged_blocks(average: WeightAverage | None) -> dict[BlockKey, nn.Module]:
    """The blocks of the average by key; None has none."""
    return {} if average is None else {("average", index): block for index, block in average.blocks.items()}


def _places(block: nn.Module) -> list[tuple[dict[str, Tensor], str]]:
    """Where the block's parameters and buffers are, each once: to look them up takes no walk through the block, and a
    block may put another buffer into a place."""
    found = {
        id(x): (held, name)
        for of in ("_parameters", "_buffers")
        for module in block.modules()
        for held in (vars(module)[of],)
        for name, x in held.items()
        if x is not None
    }
    return list(found.values())
