"""Sites that keep their data: it is described on their nodes, so the cluster is joined before the run is planned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from raygan.algorithms.base import Document
from raygan.config.loading import cluster_address, without_labels
from raygan.config.schema import Config
from raygan.data import survey_domains
from raygan.run.plan import Plan, Survey, make_plan


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
    elif in_process or not _is_cluster(config):
        yield without_labels(config), survey_domains
    else:
        from raygan.runtime.ray.cluster import ray_with
        from raygan.runtime.ray.survey import survey_sites

        with ray_with({}, config, namespace="raygan"):
            yield config, lambda config: survey_sites(config, tell)


@contextmanager
def planned(
    config: Config,
    in_process: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    documents: Mapping[str, Document] | None = None,
) -> Iterator[Plan]:
    """The plan, while the cluster that it needed is joined. Arguments and errors as `surveyor` and `make_plan`."""
    with surveyor(config, in_process, tell) as (placed, survey):
        yield make_plan(placed, survey, documents)


def _is_cluster(config: Config) -> bool:
    if cluster_address(config):
        return True
    from raygan.runtime.ray.cluster import has_ray

    return has_ray()
