"""What a run begins with: the networks of its seed, or another run's."""

from __future__ import annotations

from pathlib import Path

from raygan.config.schema import Config
from raygan.errors import ConfigError
from raygan.names import NETWORKS
from raygan.nn.blocks import Networks
from raygan.nn.network import build_networks, load_block_state
from raygan.nn.spec import NetworkSpec
from raygan.randomness import torch_seed
from raygan.storage import block_states, read_arrays


def initial_networks(spec: NetworkSpec, config: Config) -> Networks:
    """The networks of the run's seed; the blocks that the model's file `model.start_from` has are as they are there.

    Raises:
        ConfigError: as `build_networks`, and for a file of other networks.
        RunError: a file that is missing or damaged.
    """
    networks = build_networks(spec, config.model.blocks, torch_seed(config.seed, "networks"))
    if config.model.start_from is None:
        return networks
    arrays, blocks = read_arrays(Path(config.model.start_from)), networks.blocks
    states = {(network, index): s for network in NETWORKS for index, s in block_states(arrays, network).items()}
    missing = any(key not in states for key in blocks if key[0] == "generator")
    try:
        for key, state in states.items():
            load_block_state(blocks[key], state)
    except (RuntimeError, KeyError):  # torch's words for shapes or names that differ
        missing = True
    if missing:
        found = f"{config.model.start_from} has other networks than this run"
        remedy = "give the keys under model, the channels and the classes that its run has"
        raise ConfigError("model.start_from", found, remedy)
    return networks
