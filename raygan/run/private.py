"""Whether a run can be differentially private as it is configured: what contradicts it is refused before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil

from raygan.config.choices import ALGORITHMS
from raygan.config.privacy import DpConfig
from raygan.config.schema import Config
from raygan.data.holdings import Holding
from raygan.errors import ConfigError
from raygan.nn.losses import gan_loss
from raygan.nn.network import build_networks
from raygan.nn.private import try_private
from raygan.nn.spec import NetworkSpec
from raygan.parties.budget import allowed_updates, epsilon_of

WHERE = "privacy.dp"


def check_private(config: Config, discloses: Callable[[str], str | None]) -> None:
    """Refuses what an epsilon would say nothing about.

    Args:
        discloses: of the algorithm of a name (`Algorithm.discloses`).

    Raises:
        ConfigError: an algorithm that lets more leave a client than D, or a loss whose gradients are not those of images.
    """
    training = config.training
    if config.privacy.dp is None:
        return
    if (disclosed := discloses(config.algorithm)) is not None:
        found = f"of a client of algorithm {config.algorithm} leaves, beside D, {disclosed}"
        sound = [name for name in ALGORITHMS if discloses(name) is None]
        raise ConfigError(WHERE, found, f"use one of {', '.join(sound)}, or set privacy.dp: null")
    if training.r1:
        found = f"{training.r1:g} beside privacy.dp: its gradients of gradients cannot be clipped image by image"
        raise ConfigError("training.r1", found, "set it to 0")
    if gan_loss(training.loss).is_relative:
        found = f"{training.loss} beside privacy.dp: it compares images with each other, so none has a loss of its own"
        raise ConfigError("training.loss", found, "use bce or hinge")
    if config.model.spectral_norm:
        found = "true beside privacy.dp: Opacus cannot take layers that are normalised by their weights"
        raise ConfigError("model.spectral_norm", found, "set it to false")


def check_budgets(config: Config, spec: NetworkSpec, holdings: Sequence[Holding]) -> tuple[str, ...]:
    """Tries one noised update, and reckons how far the budgets reach.

    Returns:
        What a user should know: a line each.

    Raises:
        ConfigError: Opacus is missing or cannot take D, or the budget of a client allows no update.
    """
    dp = config.privacy.dp
    if dp is None:
        return ()
    try_private(build_networks(spec, config.model.blocks, config.seed), spec, config.training, dp)
    for held in holdings:
        who = f"client-{held.client:02d} with {held.num_images} images"
        if dp.delta >= 1 / held.num_images:
            found = f"{dp.delta:g}, for {who}: as much as giving one of them away"
            raise ConfigError("privacy.dp.delta", found, f"give less than {1 / held.num_images:.2g}, such as 1e-5")
        rate = _rate(config, held)
        if not allowed_updates(dp, rate):
            one = epsilon_of(dp.noise_multiplier, rate, 1, dp.delta)
            found = f"{dp.epsilon:g}, but one update of {who} spends {one:.4g}"
            raise ConfigError("privacy.dp.epsilon", found, "raise it, or raise privacy.dp.noise_multiplier")
    return tuple(_told(config, dp, holdings))


def _told(config: Config, dp: DpConfig, holdings: Sequence[Holding]) -> Iterator[str]:
    if dp.seeded:
        yield "privacy.dp.seeded: noise follows from the run's seed, and protects nothing from who knows it"
    most = max(held.num_images // _drawn(config, held) for held in holdings)
    ends = {
        held.client: allowed_updates(dp, _rate(config, held)) / _updates_a_round(config, held, most)
        for held in holdings
    }
    first = min(ends, key=lambda client: ends[client])
    if ends[first] < config.training.rounds * config.training.participation:
        last = ceil(ends[first] / config.training.participation)
        yield f"privacy.dp.epsilon: budgets do not last: that of client-{first:02d} is spent in about round {last}"


def _drawn(config: Config, held: Holding) -> int:
    return min(config.training.batch_size, held.num_images)


def _rate(config: Config, held: Holding) -> float:
    return _drawn(config, held) / held.num_images


def _updates_a_round(config: Config, held: Holding, most: int) -> int:
    own = held.num_images // _drawn(config, held)
    return config.training.local_epochs * (most if config.training.steps == "everybody" else own)
