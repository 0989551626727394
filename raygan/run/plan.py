"""From a configuration to a plan: what every client holds, its device, and what the algorithm makes of it.

Everything that a user can get wrong is found here, before any party starts. Sites that keep their data describe it on
their own nodes, so the cluster is joined before such a run is planned.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

from raygan.algorithms import algorithm_of
from raygan.algorithms.base import Algorithm, Document, Task
from raygan.config.choices import ALGORITHMS
from raygan.config.loading import cluster_address, from_home, make_config, without_labels
from raygan.config.schema import Config
from raygan.cuts.fleet import FleetCost, too_small
from raygan.data import (
    CommonShape,
    DomainInfo,
    DomainSurvey,
    client_slices,
    common_shape,
    domain_names,
    survey_domains,
    with_common_classes,
)
from raygan.data.admission import least_heads
from raygan.data.found import Found
from raygan.data.holdings import Holding
from raygan.errors import ConfigError, DataError, PolicyError
from raygan.federated.rules import try_clustering
from raygan.nn.losses import gan_loss
from raygan.nn.network import network_spec
from raygan.nn.start import initial_networks
from raygan.parties.layout import ClientPlan, Layout
from raygan.run.checkpoints import MODEL_FILE, Checkpoints
from raygan.run.private import check_budgets, check_private
from raygan.secure import LEAST_HOLDERS, check_installed
from raygan.simulation.device import check_device
from raygan.split.layout import ClientPlan as SplitClientPlan

OPTIONAL = (
    "clusters",
    "cuts",
    "wire",
    "devices.emulate",
    "training.fake_labels",
    "ray.body_replicas",
    "ray.body_pipeline",
    "privacy.distance_correlation",
    "privacy.activation_noise",
)
"""Keys of the configuration that not every algorithm reads."""
SUMMED_RULE = "holes"
"""The rule of `clusters.aggregation` that secure sums follow."""
LEAST_TEST_IMAGES = 2
"""Of a domain: a covariance needs two."""
Survey = Callable[[Config], list[DomainSurvey]]


@dataclass(frozen=True)
class Plan:
    """All that is known before training."""

    config: Config
    algorithm: Algorithm[Any, Any]
    shape: CommonShape
    infos: tuple[DomainInfo, ...]
    """Of each domain."""
    holdings: tuple[Holding, ...]
    warnings: tuple[str, ...] = ()
    """Settings that are skipped, and devices."""
    dropped: tuple[int, ...] = ()
    """Clients that sit out all rounds: their devices are too small."""
    found: tuple[Found, ...] = ()
    """What reading each domain came upon."""

    @property
    def documents(self) -> dict[str, Document]:
        """What is written into the run's folder before it begins: the algorithm's, what it costs on the fleet, and what
        reading the domains came upon."""
        found = dict(zip(domain_names(self.config.data), map(asdict, self.found), strict=False))
        costs = {} if self.cost is None else {"costs": self.cost.to_json()}
        return {**self.algorithm.documents, **costs, **({"data": found} if found else {})}

    @property
    def cost(self) -> FleetCost | None:
        """What the algorithm costs on the fleet, without those who sit out; None: nobody has said."""
        whole = self.algorithm.cost
        gone = [place for place, client in enumerate(self.layout.ids) if client in self.dropped]
        return None if whole is None else whole.without(gone)

    @property
    def layout(self) -> Layout[Any]:
        """Who is in the federation."""
        return self.algorithm.layout

    @property
    def domains(self) -> dict[int, int]:
        """Client -> index of its domain. Known to the measurement only: no algorithm reads it."""
        return {held.client: held.domain_index for held in self.holdings}


def make_plan(
    config: Config,
    survey: Survey = survey_domains,
    documents: Mapping[str, Document] | None = None,
    known: Sequence[DomainInfo] = (),
) -> Plan:
    """Checks the data, deals it and the devices to the clients, and has the algorithm plan its parties.

    Args:
        survey: describes the domains; by default it reads them here.
        documents: of a run that goes on: what its algorithm had planned.
        known: of a run that goes on: what is known of its domains, which those whose clients have left are taken from.

    Raises:
        InputError: data, networks or cuts that cannot be used.
    """
    check_device(config)
    _check_losses(config)
    _check_privacy(config)
    try_clustering(config.clusters, config.num_clients)
    check_private(config, lambda name: algorithm_of(name).discloses)
    config = _with_start(config)
    surveys = with_common_classes(_of_all_domains(config, survey(config), known))
    infos = tuple(domain.info for domain in surveys)
    _check_test_images(config, infos)
    of_domains = (holding for domain in surveys for holding in domain.holdings)
    held = tuple(sorted(of_domains, key=attrgetter("client")))
    shape = common_shape(config.model, infos)
    spec = network_spec(config.model, shape.channels, shape.num_classes, config.privacy.dp is not None)
    if config.model.start_from is not None:
        initial_networks(spec, config)  # whether they fit
    budgets = check_budgets(config, spec, held)
    slices = client_slices(config, infos, [domain.numbers for domain in surveys])
    rows = zip(held, config.profiles, slices, strict=True)
    clients = tuple(ClientPlan(one.client, one.domain, profile, part) for one, profile, part in rows)
    heads = least_heads(config, [domain.bound for domain in surveys])
    task = Task(config, clients, spec, clients_per_actor(config), documents or {}, heads)
    algorithm = algorithm_of(config.algorithm).plan(task)
    _check_heads(algorithm.layout, surveys)
    small = _too_small(config, algorithm) if documents is None or config.devices.fits == "drop" else {}
    default = make_config({"scenario": config.scenario})
    skipped = tuple(
        f"{key} is skipped: algorithm {algorithm.name} does not read it"
        for key in OPTIONAL
        if key not in algorithm.reads and attrgetter(key)(config) != attrgetter(key)(default)
    )
    dropped = tuple(plan.client for plan in clients if plan.profile in small)
    told = tuple(f"{name} cannot hold {algorithm.name} ({needs}): its clients sit out" for name, needs in small.items())
    found = tuple(domain.found for domain in surveys)
    return Plan(config, algorithm, shape, infos, held, (*skipped, *told, *budgets), dropped, found)


def _of_all_domains(config: Config, surveys: Sequence[DomainSurvey], known: Sequence[DomainInfo]) -> list[DomainSurvey]:
    """The surveys of all domains: of those that nobody holds any more, what is known of them.

    Raises:
        ConfigError: nothing is known of one.
    """
    found = dict(zip(config.data.held, surveys, strict=True))
    for index in range(len(config.data.domains)):
        if index not in found and index >= len(known):
            where = f"every client of data.domains[{index}], of which the run knows nothing"
            raise ConfigError("data.left", where, "take one of them out of the list, or leave the domain out")
    return [found[i] if i in found else DomainSurvey(known[i], ()) for i in range(len(config.data.domains))]


def _check_test_images(config: Config, infos: Sequence[DomainInfo]) -> None:
    """Refuses a domain whose generators could not be scored.

    Raises:
        DataError: it has fewer test images than a score compares with.
    """
    for domain, info in zip(config.data.domains, infos, strict=True):
        if info.num_test < LEAST_TEST_IMAGES:
            found = f"{info.num_test} test image{'s' * (info.num_test != 1)}"
            remedy = f"give at least {LEAST_TEST_IMAGES}: scores compare generated images with them"
            raise DataError(domain.source[1], found, remedy)


def _check_heads(layout: Layout[Any], surveys: Sequence[DomainSurvey]) -> None:
    """Refuses cuts that a site's policy does not allow; it would refuse them itself when its clients start.

    Raises:
        PolicyError: D's head at one of its clients is too short: none that it allows can be planned, or cuts are kept.
    """
    for plan in layout.clients:
        bound = surveys[plan.data.domain_index].bound
        head = plan.discriminator_cut[0] if isinstance(plan, SplitClientPlan) else None
        if bound is not None and head is not None and head < bound.least:
            where = f"data.domains[{plan.data.domain_index}] ({plan.domain})"
            found = f"{bound.by} refuses: minimum_cut: a head of D with h = {head} is asked, h = {bound.least} and more"
            remedy = "give its clients devices that can keep so long a head, or ask the site's owner"
            raise PolicyError(where, f"{found} is allowed", remedy)


def _with_start(config: Config) -> Config:
    """The configuration with the file whose networks the run begins with, where it names the folder of a run.

    Raises:
        InputError: no run, or one of several models.
    """
    path = config.model.start_from
    if path is None or not from_home(path).is_dir():
        return config
    stored = Checkpoints(from_home(path) / "checkpoints", config.checkpoints).stored()
    kept = next((checkpoint for checkpoint in reversed(stored) if checkpoint.damage() is None), None)
    if kept is None:
        found = f"{path} has no round of a run that is kept"
        raise ConfigError("model.start_from", found, "give the folder of a run, or the file of a model in it")
    files = sorted(kept.path / name for name in kept.manifest().files if MODEL_FILE.fullmatch(name))
    if len(files) != 1:
        found = f"round {kept.round + 1} of {path} has {len(files)} models"
        raise ConfigError("model.start_from", found, f"give the file of one, such as {files[0] if files else path}")
    return config.model_copy(update={"model": config.model.model_copy(update={"start_from": str(files[0])})})


def _check_losses(config: Config) -> None:
    """Refuses losses that the algorithm has not the means for.

    Raises:
        ConfigError: a gradient of a gradient across a cut, or G's loss where nobody knows D's logits on reals.
    """
    chosen, training = algorithm_of(config.algorithm), config.training
    if training.r1 and chosen.cuts_discriminators:
        found = f"{training.r1:g}, but algorithm {chosen.name} cuts D: a gradient of a gradient would have to cross"
        raise ConfigError("training.r1", found, "set it to 0, or use an algorithm whose discriminators are whole")
    if gan_loss(training.loss).is_relative and not chosen.compares_logits:
        found = f"{training.loss} compares fakes with reals, which algorithm {chosen.name} cannot where G learns"
        raise ConfigError("training.loss", found, "use bce or hinge, or another algorithm")


def _check_privacy(config: Config) -> None:
    """Refuses secure aggregation of what is no sum.

    Raises:
        ConfigError: the extra is missing, the algorithm averages nothing, another rule than the weighted mean does, or
            too few clients for sums.
    """
    chosen, key = algorithm_of(config.algorithm), "privacy.secure_aggregation"
    if not config.privacy.secure_aggregation:
        if config.privacy.hide_discriminator:
            found = "true without privacy.secure_aggregation, which sums what is hidden"
            raise ConfigError("privacy.hide_discriminator", found, "set both to true")
        return
    if config.privacy.hide_discriminator and config.model.start_from is not None:
        found = f"{config.model.start_from}, whose D everybody can read, beside privacy.hide_discriminator"
        raise ConfigError("model.start_from", found, "leave one of them out")
    check_installed(config.privacy)
    if not chosen.averages_clients:
        able = ", ".join(name for name in ALGORITHMS if algorithm_of(name).averages_clients)
        raise ConfigError(key, f"true, but {chosen.name} averages no clients", f"set it to false, or use one of {able}")
    rule = config.clusters.aggregation
    if "clusters" in chosen.reads and rule != SUMMED_RULE:
        found = f"{rule}, but {key} sums by the weights alone"
        raise ConfigError("clusters.aggregation", found, f"set it to {SUMMED_RULE}, or {key} to false")
    fewest = _fewest_summed(config) if "clusters" in chosen.reads else config.clients_a_round
    if fewest < LEAST_HOLDERS:
        found = f"true, but of {fewest} clients there is no sum that hides each (at least {LEAST_HOLDERS})"
        remedy = "add clients, raise training.participation or lower clusters.count"
        raise ConfigError(key, found, remedy)


def _fewest_summed(config: Config) -> int:
    """Clients of the smallest cluster, at best."""
    if config.clusters.count == "oracle":
        return min(config.clients_a_round, *Counter(member.domain for member in config.data.members).values())
    return config.clients_a_round // (config.clusters.count if isinstance(config.clusters.count, int) else 1)


def _too_small(config: Config, algorithm: Algorithm[Any, Any]) -> dict[str, str]:
    """The device profiles that cannot hold what the algorithm leaves on them, whose clients are to sit out.

    Raises:
        ConfigError: one of them is required to, or all are too small.
    """
    limits = {name: config.devices.profile(name).memory_bytes for name in config.devices.fleet}
    if not any(limits.values()) or algorithm.cost is None:
        return {}
    small = too_small(algorithm.cost, limits)
    if small and (config.devices.fits == "require" or len(small) == len(limits)):
        name, needs = next(iter(small.items()))
        remedy = "choose an algorithm that leaves less on clients, a smaller batch, narrower networks or more memory"
        if len(small) < len(limits):
            remedy += ", or devices.fits: drop"
        raise ConfigError(f"devices.profiles.{name}.memory_bytes", f"{algorithm.name} needs {needs}", remedy)
    return small


def clients_per_actor(config: Config) -> int:
    """Clients in one actor at most. `auto`: on a cluster one, since a site has its own machine; on this machine
    so many that there are no more actors than cores, because more of them only cost memory and messages."""
    asked = config.ray.clients_per_actor
    if asked != "auto":
        return asked
    return 1 if cluster_address(config) else -(-config.num_clients // (os.cpu_count() or 1))


@contextmanager
def surveyor(
    config: Config, in_process: bool = False, tell: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[Config, Survey]]:
    """How the domains are described, and the configuration in force.

    On one machine all data is here, and labels do not count. On a cluster a domain with labels is described on a node
    that carries them; the cluster is joined for as long as the block lasts.

    Args:
        in_process: without Ray.
        tell: is given a line where nodes are waited for.

    Raises:
        InputError: a cluster that cannot be reached.
    """
    sites = [domain.labels for domain in config.data.domains]
    devices = [config.devices.profile(name).labels for name in config.devices.fleet]
    if not any((*sites, *devices)):
        yield config, survey_domains
        return
    if not in_process:
        from raygan.runtime.ray.cluster import has_ray, ray_with
        from raygan.runtime.ray.survey import survey_sites

        if cluster_address(config) or has_ray():
            with ray_with({}, config, namespace="raygan"):
                yield config, lambda config: survey_sites(config, tell)
            return
    yield without_labels(config), survey_domains


@contextmanager
def planned(
    config: Config,
    in_process: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    documents: Mapping[str, Document] | None = None,
    known: Sequence[DomainInfo] = (),
) -> Iterator[Plan]:
    """The plan, while the cluster that it needed is joined. Arguments and errors as `surveyor` and `make_plan`."""
    with surveyor(config, in_process, tell) as (placed, survey):
        yield make_plan(placed, survey, documents, known)
