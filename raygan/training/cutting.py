"""Where each client's networks are cut: as the configuration fixes it, or as the planner chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raygan.config.schema import Config, ProfileCut
from raygan.errors import ConfigError
from raygan.nn.blocks import Networks, NetworkSpec
from raygan.nn.split import Cut, check_cut


@dataclass(frozen=True)
class ClientCuts:
    """(h, t) of both networks of one client."""

    generator: Cut
    discriminator: Cut


@dataclass(frozen=True)
class CutPlan:
    """The cuts of all clients, and how they were found."""

    clients: tuple[ClientCuts, ...]
    solver: str

    def to_json(self) -> dict[str, Any]:
        """The content of `cuts.json`."""
        return {
            "solver": self.solver,
            "clients": {
                str(number): {"generator": list(cuts.generator), "discriminator": list(cuts.discriminator)}
                for number, cuts in enumerate(self.clients)
            },
        }


def choose_cuts(config: Config, profiles: Sequence[str], networks: Networks, spec: NetworkSpec) -> CutPlan:
    """The cuts of every client.

    Args:
        profiles: the profile of each client.

    Raises:
        CutError: a fixed cut that is not valid, or a device for which none is.
        ConfigError: a fixed cut for a profile that is not in the fleet.
    """
    return _fixed(config, profiles, networks)


def _fixed(config: Config, profiles: Sequence[str], networks: Networks) -> CutPlan:
    fixed = config.cuts.fixed
    for name in fixed:
        if name not in profiles:
            found = f"profile {name!r} is not in the fleet"
            raise ConfigError(f"cuts.fixed.{name}", found, f"use one of {', '.join(dict.fromkeys(profiles))}")
    cuts = []
    for name in profiles:
        cut = fixed.get(name, ProfileCut())
        for network, blocks, anchor in (
            ("generator", networks.generator, networks.generator_anchor),
            ("discriminator", networks.discriminator, networks.discriminator_anchor),
        ):
            check_cut(getattr(cut, network), len(blocks), anchor, f"cuts.fixed.{name}.{network}")
        cuts.append(ClientCuts(cut.generator, cut.discriminator))
    return CutPlan(tuple(cuts), "fixed")
