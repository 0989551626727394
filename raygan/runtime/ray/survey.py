"""Describes the domains of a cluster, each where it is kept: counts and a digest come back."""

from __future__ import annotations

from collections.abc import Callable

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from raygan.config.schema import Config
from raygan.data import DomainSurvey, domain_label, survey_domain
from raygan.errors import InputError
from raygan.runtime.ray.demand import ActorDemand, label_text
from raygan.runtime.ray.nodes import await_nodes
from raygan.runtime.ray.placing import chosen
from raygan.wire.contract import counts_only


def survey_sites(config: Config, tell: Callable[[str], None]) -> list[DomainSurvey]:
    """The survey of every domain that a client holds: of one with labels from a node that has them, of others from here.

    Raises:
        InputError: a domain that cannot be used, no node of its site, or one that does not answer.
    """
    config = chosen(config)
    held = config.data.held
    demands = [_first_client(config, index) for index in held if config.data.domains[index].labels]
    await_nodes(demands, config.ray.wait_for_nodes_s, tell)
    surveys = [_submitted(config, index) for index in held]
    return [_result(config, index, survey) for index, survey in zip(held, surveys, strict=True)]


def _submitted(config: Config, index: int) -> DomainSurvey | ray.ObjectRef[DomainSurvey]:
    domain = config.data.domains[index]
    if not domain.labels:
        return survey_domain(config, index)
    options = {"num_cpus": 0, "label_selector": domain.labels, "name": f"describe {domain_label(domain)}"}
    return ray.remote(_describe).options(**options).remote(config, index)


def _describe(config: Config, index: int) -> DomainSurvey:
    """The survey, checked where the data is."""
    return counts_only(survey_domain(config, index))


def _result(config: Config, index: int, survey: DomainSurvey | ray.ObjectRef[DomainSurvey]) -> DomainSurvey:
    if isinstance(survey, DomainSurvey):
        return survey
    domain, limit_s = config.data.domains[index], config.ray.start_timeout_s
    where = f"data.domains[{index}] ({domain_label(domain)}, at {label_text(domain.labels)})"
    try:
        return ray.get(survey, timeout=limit_s)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise
    except GetTimeoutError:
        found = f"its site has not described it within {limit_s:g} s"
        raise InputError(where, found, "check the site's nodes, or raise ray.start_timeout_s") from None
    except RayError as error:
        found = f"the process that described it at its site was lost ({type(error).__name__})"
        raise InputError(where, found, "check the site's nodes and their memory, and start again") from None


def _first_client(config: Config, index: int) -> ActorDemand:
    """What the first client of a domain asks for: where it fits, the domain can be described."""
    number = next(member.client for member in config.data.members if member.domain == index)
    name = config.devices.fleet[number % len(config.devices.fleet)]
    profile = config.devices.profile(name)
    labels = {**profile.labels, **config.data.domains[index].labels}
    resources = {} if config.ray.placement == "cpus" else profile.resources
    return ActorDemand(f"client-{number:02d}", profile.num_cpus, profile.num_gpus, resources, labels, name)
