"""Where body and clients compute, and which share of a GPU their actors ask for."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from raygan.config.loading import cluster_address
from raygan.config.schema import Config
from raygan.errors import ConfigError

PARTS = 10_000
"""Ray counts in 10,000ths of a GPU."""


def pick_device(config: Config, who: str, has_gpu: bool = True) -> torch.device:
    """The device of a role, `has_gpu` if its actor was given a GPU or a share of one.

    Raises:
        ConfigError: `ray.device` is `cuda`, and there is none for it, whom the message calls `who`.
    """
    usable = has_gpu and torch.cuda.is_available()
    if config.ray.device == "cuda" and not usable:
        found = f"cuda, but {who} " + ("finds no GPU" if has_gpu else "was given no GPU")
        remedy = "set it to auto or cpu, or give it one (num_gpus of its profile, ray.body_gpus)"
        raise ConfigError("ray.device", found, remedy)
    if config.ray.device == "cpu" or not usable:
        return torch.device("cpu")
    torch.backends.cudnn.deterministic = True  # the same run twice is the same run
    return torch.device("cuda")


def check_device(config: Config) -> None:
    """Refuses what is known not to work before any actor starts.

    Raises:
        ConfigError: `ray.device: cuda` on a machine without a GPU, where everything would run on this machine;
            `ray.transport: direct` between actors with and without GPUs, or there without its library.
    """
    given = {bool(config.devices.profile(name).num_gpus) for name in config.devices.fleet}
    given.add(bool(config.ray.body_gpus))
    if config.ray.transport == "direct" and config.ray.device != "cpu" and len(given) > 1:
        found = "direct, but GPUs for some actors and none for others"
        raise ConfigError("ray.transport", found, "give all profiles num_gpus and set ray.body_gpus, or none")
    if cluster_address(config) is None:
        pick_device(config, "this machine")
        if config.ray.transport == "direct" and find_spec("nixl") is None:
            found = "direct, but nixl is not installed here"
            raise ConfigError("ray.transport", found, "install raygan[direct], or leave it at object_store")


def gpu_shares(config: Config, profiles: list[str], num_servers: int = 1) -> tuple[float, list[float]]:
    """GPUs that each server and each client actor ask for.

    What `ray.body_gpus` and the profiles name is taken as it is. Where neither names any and everything runs on
    this machine, its GPUs are shared evenly. `profiles` has one for each client actor.
    """
    if config.ray.device == "cpu":
        return 0, [0] * len(profiles)
    named = [config.devices.profile(name).num_gpus for name in profiles]
    if config.ray.body_gpus is not None or any(named) or cluster_address(config):
        return config.ray.body_gpus or 0, named
    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    share = _even_share(num_gpus, num_servers + len(profiles))
    return share, [share] * len(profiles)


def _even_share(num_gpus: int, num_actors: int) -> float:
    """A share of which `num_actors` fit; one that is below 1 lies on one GPU."""
    if num_gpus == 0:
        return 0
    actors_per_gpu = -(-num_actors // num_gpus)
    return (PARTS - 1) // actors_per_gpu / PARTS if actors_per_gpu > 1 else 1  # their float sum stays below 1
