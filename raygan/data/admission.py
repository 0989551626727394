"""Whether the site on which this runs allows what it is asked for: looked up before its data is touched."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from raygan.config.choices import ALGORITHMS, chosen
from raygan.config.schema import Config, MaxLeakage, ProfileCut
from raygan.config.site_policy import PolicyFile, SitePolicy, site_policies
from raygan.data.source import domain_label
from raygan.errors import ConfigError, CutError, PolicyError, reason

REMEDY = "change what is asked, or ask the site's owner"


@dataclass(frozen=True)
class Bound:
    """The least h of D's head at a domain's clients, for cuts that are planned only when the site has answered."""

    least: int
    by: str
    """Which policy says so, as people are told."""


def least_heads(config: Config, bounds: Sequence[Bound | None]) -> tuple[int, ...]:
    """Of each client, for the planner; 0: any.

    Args:
        bounds: of each domain.
    """
    leasts = [0 if bound is None else bound.least for bound in bounds]
    return tuple(leasts[member.domain] for member in config.data.members)


@contextmanager
def blaming_sites(bounds: Sequence[Bound | None]) -> Iterator[None]:
    """Cuts that cannot be planned within what sites allow are refused in the name of the strictest.

    Args:
        bounds: of each domain.

    Raises:
        PolicyError: no cuts keep to it.
    """
    strictest = max(filter(None, bounds), key=lambda bound: bound.least, default=None)
    try:
        yield
    except CutError as error:
        if strictest is None or not strictest.least:
            raise
        allowed = f"{strictest.by} allows D's heads of h = {strictest.least} and more"
        remedy = "give its clients other devices, or ask the site's owner"
        raise PolicyError("data.domains", f"{allowed}, and no cuts keep to it ({error})", remedy) from None


@dataclass(frozen=True)
class Admission:
    """A site's yes, as far as it is known before its data is read."""

    request: Request
    policies: tuple[PolicyFile, ...]

    @property
    def bound(self) -> Bound | None:
        """For planned cuts; None: any."""
        bounds = [Bound(file.rules.minimum_cut or 0, _named(file)) for file in self.policies]
        return max(bounds, key=lambda bound: bound.least, default=None)

    def check_images(self, client: str, count: int) -> None:
        """Whether the site serves a client with so many training images; how many is not told.

        Raises:
            PolicyError: it does not.
        """
        for file in self.policies:
            least = file.rules.min_images
            if least is not None and count < least:
                self.request.refuse(file, "min_images", f"{client} with fewer", f"at least {least:,}")


@dataclass(frozen=True)
class Request:
    """What is asked of a site."""

    config: Config
    domain_index: int
    purpose: str
    """Who asks, for the site's log: `survey`, `client-03`, `scores`."""
    heads: tuple[int, ...] = ()
    """h of D's head at the clients that it is for, as far as it is known."""

    @property
    def where(self) -> str:
        """The domain, as the user wrote it, and its site."""
        domain = self.config.data.domains[self.domain_index]
        site = "".join(f", {key}={value}" for key, value in domain.labels.items())
        return f"data.domains[{self.domain_index}] ({domain_label(domain)}{site})"

    def admitted(self) -> Admission:
        """The site's yes, which its log has.

        Raises:
            PolicyError: a policy refuses it, cannot be read, or has a log that cannot be written.
        """
        try:
            policies = tuple(site_policies())
        except ConfigError as error:
            found = f"the site policy {error.where} on {socket.gethostname()} cannot be followed: {error.found}"
            remedy = f"nothing is read there until its owner mends it: {error.remedy}"
            raise PolicyError(self.where, found, remedy) from None
        for file in policies:
            for key, asked, allowed in _refusals(file.rules, self.config, self.heads):
                self.refuse(file, key, asked, allowed)
        for file in policies:
            self._log(file, "allowed")
        return Admission(self, policies)

    def refuse(self, file: PolicyFile, key: str, asked: str, allowed: str) -> None:
        """Writes the refusal down and raises it."""
        found = f"{_named(file)} refuses: {key}: {asked} is asked, {allowed} is allowed"
        self._log(file, "refused", key=key, asked=asked, allowed=allowed)
        raise PolicyError(self.where, found, REMEDY)

    def _log(self, file: PolicyFile, decision: str, **more: str) -> None:
        if file.log is None:
            return
        config = self.config
        line: dict[str, Any] = {
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "decision": decision,
            "for": self.purpose,
            "data": self.where,
            **more,
            "algorithm": config.algorithm,
            "privacy": config.privacy.model_dump(mode="json", exclude={"keys"}),
            "heads": list(self.heads),
        }
        try:
            with file.log.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            found = f"the log {file.log} of {_named(file)} cannot be written ({reason(error)})"
            raise PolicyError(self.where, found, "nothing is read there until its owner mends it") from None


Gate = Callable[[], Admission]
"""Asks the site, when it is called."""


def gate(config: Config, domain_index: int, client: int, *heads: int) -> Gate:
    """What asks a client's site whether its data may be read.

    Args:
        heads: h of D's head, where D is cut.
    """
    return Request(config, domain_index, f"client-{client:02d}", heads).admitted


def fixed_heads(config: Config, index: int) -> tuple[int, ...]:
    """H of D's head at a domain's clients, where the configuration fixes the cuts; else nothing."""
    if config.cuts.solver != "fixed":
        return ()
    members = zip(config.data.members, config.profiles, strict=True)
    profiles = [profile for member, profile in members if member.domain == index]
    return tuple(sorted({config.cuts.fixed.get(name, ProfileCut()).discriminator[0] for name in profiles}))


def _named(file: PolicyFile) -> str:
    return f"the site policy {file.path} on {socket.gethostname()}"


def _refusals(rules: SitePolicy, config: Config, heads: Sequence[int]) -> Iterator[tuple[str, str, str]]:
    """The rules that a configuration breaks: key, what is asked, what is allowed."""
    allowed = rules.allow.algorithms
    if allowed is not None and config.algorithm not in allowed:
        yield "allow.algorithms", config.algorithm, ", ".join(allowed) or "none"
    for key in rules.require:
        if not getattr(config.privacy, key):
            yield "require", f"privacy.{key}: false", "true"
    if rules.max_epsilon is not None:
        yield from _of_epsilon(rules, rules.max_epsilon, config)
    if rules.minimum_cut is not None or rules.max_leakage is not None:
        yield from _of_cuts(rules, config, heads)


def _of_epsilon(rules: SitePolicy, most: float, config: Config) -> Iterator[tuple[str, str, str]]:
    dp, disclosed = config.privacy.dp, chosen(ALGORITHMS, config.algorithm).discloses
    if dp is None:
        yield "max_epsilon", "privacy.dp: null", f"privacy.dp with an epsilon of at most {most:g}"
    elif disclosed is not None:
        yield "max_epsilon", f"algorithm {config.algorithm}, which tells {disclosed}", "one that tells D alone"
    elif dp.seeded:
        yield "max_epsilon", "privacy.dp.seeded: true", "noise that nobody can take off again, seeded: false,"
    elif dp.epsilon > most:
        yield "max_epsilon", f"privacy.dp.epsilon {dp.epsilon:g}", f"at most {most:g}"
    elif dp.delta > rules.max_delta:
        yield "max_delta", f"privacy.dp.delta {dp.delta:g}", f"at most {rules.max_delta:g}"


def _of_cuts(rules: SitePolicy, config: Config, heads: Sequence[int]) -> Iterator[tuple[str, str, str]]:
    key = "minimum_cut" if rules.minimum_cut is not None else "max_leakage"
    if config.algorithm == "central":
        yield key, "algorithm central, which takes the images themselves,", "one that leaves them here"
        return
    if not chosen(ALGORITHMS, config.algorithm).cuts_discriminators:
        return  # D is whole on the client: no activation of an image crosses
    if rules.minimum_cut is not None and heads and min(heads) < rules.minimum_cut:
        yield "minimum_cut", f"a head of D with h = {min(heads)}", f"h = {rules.minimum_cut} and more"
    if rules.max_leakage is not None:
        yield from _of_leakage(rules.max_leakage, config.cuts.max_leakage)


def _of_leakage(most: MaxLeakage, asked: MaxLeakage | None) -> Iterator[tuple[str, str, str]]:
    for name in ("ssim", "label_accuracy"):
        bound, value = getattr(most, name), getattr(asked or MaxLeakage(), name)
        if value > bound:
            shown = f"cuts.max_leakage.{name} {value:g}" if asked else "cuts.max_leakage: null"
            yield f"max_leakage.{name}", shown, f"at most {bound:g}"
