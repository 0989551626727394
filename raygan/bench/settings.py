"""What is measured: a configuration with the bench's options in it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raygan.config.loading import changed_config
from raygan.config.schema import Config
from raygan.cuts import valid_cuts
from raygan.errors import ConfigError, InputError
from raygan.nn.network import build_networks, network_spec

CUT = re.compile(r"(\d+),(\d+)/(\d+),(\d+)")
MOST_STEPS = 64
"""Steps in one slice of measuring at most: the measured round has so many."""

CutPair = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class BenchOptions:
    """What the command line may change; None: as the configuration says."""

    clients: int | None = 8
    """Clients of all domains together."""
    batch_size: int | None = 64
    """Images of one client in one step."""
    width: float | None = 1.0
    """Channel counts, in the paper's."""
    cuts: str | None = "mixed"
    """`planned`, `mixed`, or pairs such as `0,0/0,0 1,1/1,0` (h,t of G and of D), dealt in turn."""
    codec: str | None = None
    clients_per_actor: int | None = None
    repeats: int = 5
    """Slices of each contender."""
    seconds: float = 10.0
    """About how long a slice takes."""


AS_CONFIGURED = BenchOptions(clients=None, batch_size=None, width=None, cuts=None)


def bench_config(config: Config, options: BenchOptions) -> Config:
    """The configuration with the options in it. Raises InputError: options that do not fit, or a hidden D."""
    if config.privacy.hide_discriminator:
        found = "true: clients would keep a secret for networks that a bench throws away"
        raise ConfigError("privacy.hide_discriminator", found, "set it to false: a step is the same without it")
    if not math.isfinite(options.seconds):
        raise InputError("--seconds", f"{options.seconds} is no time", "give seconds, such as 10")
    settings = config.model_dump(mode="json")
    changes: list[tuple[str, Any]] = [
        ("devices.emulate", False),
        ("training.batch_size", options.batch_size),
        ("model.width", options.width),
        ("wire.codec", options.codec),
        ("ray.clients_per_actor", options.clients_per_actor),
    ]
    if options.clients is not None:
        changes.append(("data.domains", _dealt(settings["data"]["domains"], options.clients)))
        changes.append(("training.participation", 1.0))  # the measured rounds have everybody
        if isinstance(config.clusters.count, int):
            changes.append(("clusters.count", min(config.clusters.count, options.clients)))
    if options.cuts not in (None, "planned"):
        mixed = options.cuts == "mixed"
        changes += _fixed_cuts(mixed_cuts(config) if mixed else parse_cuts(str(options.cuts)))
    return changed_config(settings, [(key, value) for key, value in changes if value is not None])


def long_rounds(config: Config, num_images: Sequence[int]) -> Config:
    """The same with so many local epochs that a round has `MOST_STEPS` steps for every client.

    Args:
        num_images: training images of each client.
    """
    batches = min(max(1, count // config.training.batch_size) for count in num_images)
    training = config.training.model_copy(update={"local_epochs": -(-MOST_STEPS // batches)})
    return config.model_copy(update={"training": training})


def parse_cuts(text: str) -> tuple[CutPair, ...]:
    """`h,t/h,t` pairs of G and D apart by spaces. Raises InputError: it is no such list."""
    found = [CUT.fullmatch(part) for part in text.split()]
    if not found or None in found:
        remedy = "give planned, mixed, or pairs of G and D such as 0,0/0,0 1,1/1,0"
        raise InputError("--cuts", f"{text!r} is no list of cuts", remedy)
    numbers = [tuple(map(int, match.groups())) for match in found if match]
    return tuple(((a, b), (c, d)) for a, b, c, d in numbers)


def mixed_cuts(config: Config) -> tuple[CutPair, ...]:
    """Pairs of G and D, dealt to the clients in turn: between them every cut of the configured networks."""
    model = config.model
    networks = build_networks(network_spec(model, model.channels or 1, num_classes=2), model.blocks, 0)
    of_g = valid_cuts(len(networks.generator), networks.generator_anchor)
    of_d = sorted(valid_cuts(len(networks.discriminator), networks.discriminator_anchor), key=lambda cut: cut[::-1])
    return tuple((of_g[n % len(of_g)], of_d[n % len(of_d)]) for n in range(max(len(of_g), len(of_d))))


def _dealt(domains: list[dict[str, Any]], clients: int) -> list[dict[str, Any]]:
    """So many clients over the domains, as evenly as it goes; with fewer clients than domains, the first ones."""
    used = domains[:clients]
    whole, rest = divmod(clients, len(used))
    return [domain | {"clients": whole + (n < rest)} for n, domain in enumerate(used)]


def _fixed_cuts(pairs: Sequence[CutPair]) -> list[tuple[str, Any]]:
    """A profile of its own for each pair of cuts."""
    named = {f"cuts-{g[0]}{g[1]}-{d[0]}{d[1]}": {"generator": g, "discriminator": d} for g, d in pairs}
    return [
        ("devices.fleet", list(named)),
        ("devices.profiles", {name: {"flops_per_s": 1e9, "bytes_per_s": 1e8} for name in named}),
        ("cuts.solver", "fixed"),
        ("cuts.fixed", named),
    ]
