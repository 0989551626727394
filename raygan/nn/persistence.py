"""Blocks and optimizers as flat, named arrays for a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from raygan.errors import RunError, reason
from raygan.nn.average import WeightAverage
from raygan.nn.network import block_state, load_block_state
from raygan.nn.optimizer import laid_out_as

AVERAGE = "average"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")


def network_arrays(
    name: str, blocks: Mapping[int, nn.Module], optimizer: torch.optim.Optimizer | None
) -> dict[str, np.ndarray]:
    """`name.block.parameter` for every parameter and buffer, and Adam's state under `adam.`."""
    arrays = {
        f"{name}.{index}.{key}": value for index, block in blocks.items() for key, value in block_state(block).items()
    }
    for index, block in blocks.items():
        for key, parameter in block.named_parameters():
            state = optimizer.state.get(parameter, {}) if optimizer is not None else {}
            for moment in MOMENTS:
                if moment in state:
                    arrays[f"adam.{name}.{index}.{key}.{moment}"] = state[moment].detach().cpu().numpy().copy()
    return arrays


def load_network_arrays(
    name: str,
    blocks: Mapping[int, nn.Module],
    optimizer: torch.optim.Optimizer | None,
    arrays: Mapping[str, np.ndarray],
) -> None:
    """The inverse of `network_arrays`, in place.

    Raises:
        RunError: the arrays are those of other networks or cuts.
    """
    for index, block in blocks.items():
        prefix = f"{name}.{index}."
        mine = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
        try:
            load_block_state(block, mine)
        except (RuntimeError, TypeError) as error:
            found = f"block {index} does not fit ({reason(error, 200)})"
            remedy = "resume with the configuration and the cuts that the checkpoint was written with"
            raise RunError(f"checkpoint of the {name}", found, remedy) from None
        for key, parameter in block.named_parameters():
            if optimizer is not None:
                optimizer.state.pop(parameter, None)
            saved = {m: arrays[where] for m in MOMENTS if (where := f"adam.{name}.{index}.{key}.{m}") in arrays}
            if optimizer is not None and len(saved) == len(MOMENTS):
                values = {m: torch.from_numpy(np.array(a)).to(parameter.device) for m, a in saved.items()}
                optimizer.state[parameter] = {
                    m: value if m == "step" else laid_out_as(parameter, value) for m, value in values.items()
                }


def average_arrays(average: WeightAverage | None, prefix: str = "") -> dict[str, np.ndarray]:
    """`average.block.name`, behind the prefix, for all of a moving average; empty without one."""
    return {} if average is None else network_arrays(prefix + AVERAGE, average.blocks, None)


def load_average(average: WeightAverage | None, arrays: Mapping[str, np.ndarray], prefix: str = "") -> None:
    """The inverse of `average_arrays`, in place; errors as `load_network_arrays`."""
    if average is not None:
        load_network_arrays(prefix + AVERAGE, average.blocks, None, arrays)
