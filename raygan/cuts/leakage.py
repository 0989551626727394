"""How much each cut tells, as an audit measured it, and which cuts a bound allows. Numbers alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from raygan.config.loading import from_home
from raygan.config.schema import CutsConfig, MaxLeakage
from raygan.cuts.latency import Bools, Floats
from raygan.errors import ConfigError, CutError
from raygan.names import NETWORKS, Cut, NetworkName
from raygan.storage import read_json

FILE = "audit.json"


@dataclass(frozen=True)
class CutLeakage:
    """What is found out at one cut of one network, by the best of the attacks."""

    network: NetworkName
    cut: Cut
    ssim: float
    """Of reconstructed images; 0 where none was tried: G is shown no real image."""
    label_accuracy: float
    """Of a client's labels."""


@dataclass(frozen=True)
class Leakage:
    """Of every valid cut of both networks."""

    cuts: tuple[CutLeakage, ...]

    def of(self, network: NetworkName, cut: Cut) -> CutLeakage:
        """Of one cut.

        Raises:
            CutError: it was not measured.
        """
        for found in self.cuts:
            if (found.network, found.cut) == (network, cut):
                return found
        raise CutError("cuts.leakage", f"the {network}'s cut {cut} was not measured", "audit a run with these networks")

    def or_more(self, other: Leakage | None) -> Leakage:
        """At each cut the more of both."""
        if other is None:
            return self
        pairs = [(one, other.of(one.network, one.cut)) for one in self.cuts]
        return Leakage(
            tuple(
                CutLeakage(a.network, a.cut, max(a.ssim, b.ssim), max(a.label_accuracy, b.label_accuracy))
                for a, b in pairs
            )
        )

    def tables(self, cuts: tuple[Sequence[Cut], Sequence[Cut]]) -> tuple[Floats, Floats]:
        """SSIM and label accuracy of each pair of cuts, [n_G, n_D]: the worse of both networks'."""
        both = [[self.of(network, cut) for cut in mine] for network, mine in zip(NETWORKS, cuts, strict=True)]
        figures: tuple[Callable[[CutLeakage], float], ...] = (lambda one: one.ssim, lambda one: one.label_accuracy)
        ssim, labels = (np.maximum.outer(*([figure(one) for one in mine] for mine in both)) for figure in figures)
        return ssim, labels


def read_leakage(where: str) -> Leakage:
    """The table of an audit.

    Args:
        where: `cuts.leakage`: an audit's file, or the run's folder that has one.

    Raises:
        ConfigError: there is none, or it is damaged.
    """
    path = from_home(where)
    file = path / FILE if path.is_dir() else Path(path)
    if not file.is_file():
        remedy = f"measure it with raygan audit {where}, or give the folder of a run that was audited"
        raise ConfigError("cuts.leakage", f"there is no audit at {where!r}", remedy)
    document = read_json(file)
    found = document.get("leakage") if isinstance(document, dict) else None
    if found is None:
        remedy = "audit with inversion and labels a run whose networks are cut"
        raise ConfigError("cuts.leakage", f"{where!r} has no leakage by cut", remedy)
    try:
        return TypeAdapter(Leakage).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]["msg"]
        raise ConfigError("cuts.leakage", f"{str(file)!r} is damaged ({first})", "audit the run again") from None


@dataclass(frozen=True)
class Bound:
    """How much cuts may tell, and how much they do."""

    most: MaxLeakage
    leakage: Leakage

    def allows(self, cuts: tuple[Sequence[Cut], Sequence[Cut]], fits: Bools) -> Bools:
        """Which pairs of cuts keep the bound, [n_G, n_D].

        Args:
            fits: [C, n_G, n_D], the pairs that each class of devices can bear.

        Raises:
            CutError: some device has none; it names the nearest that it has.
        """
        ssim, labels = self.leakage.tables(cuts)
        most_ssim, most_labels = self.most.ssim, self.most.label_accuracy
        allowed: Bools = (ssim <= most_ssim) & (labels <= most_labels)
        excess = np.maximum(ssim - most_ssim, 0) + np.maximum(labels - most_labels, 0)
        for mine in fits:
            if not (mine & allowed).any():
                g, d = np.unravel_index(np.where(mine, excess, np.inf).argmin(), excess.shape)
                found = f"no cut of some device keeps ssim {most_ssim:g} and label_accuracy {most_labels:g}"
                nearest = f"ssim: {_up(ssim[g, d], most_ssim)}, label_accuracy: {_up(labels[g, d], most_labels)}"
                pair = f"G cut at {cuts[0][int(g)]}, D at {cuts[1][int(d)]}"
                remedy = f"the nearest that can be kept is {{{nearest}}}, with {pair}"
                raise CutError("cuts.max_leakage", found, remedy)
        return allowed


def bound_of(settings: CutsConfig, measured: Leakage | None = None) -> Bound | None:
    """The bound that a configuration asks for; None: none.

    Args:
        measured: just now; None: by `cuts.leakage`.

    Raises:
        ConfigError: nothing was measured, or it cannot be read.
    """
    if settings.max_leakage is None:
        return None
    if measured is None and settings.leakage is None:
        found = "nothing says how much a cut tells"
        raise ConfigError("cuts.max_leakage", found, "set cuts.leakage to a run after raygan audit RUN")
    return Bound(settings.max_leakage, measured or read_leakage(settings.leakage or ""))


def _up(value: float, bound: float) -> str:
    """The bound where it is kept, else the value rounded up, so that it is kept."""
    return f"{bound:g}" if value <= bound else f"{np.ceil(1000 * value) / 1000:g}"
