"""What an audit found, as `audit.json` has it. Light: reports and the planner read it without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raygan.cuts.leakage import FILE, CutLeakage, Leakage
from raygan.errors import InputError, RunError, instead_of
from raygan.names import Cut, NetworkName
from raygan.storage import read_json, write_json

Attack = Literal["inversion", "labels", "distance_correlation", "membership"]
ATTACKS: tuple[Attack, ...] = get_args(Attack)
PICTURES = "audit"
IDENTITY, NOISE = "identity head", "noise head"
"""Attackers' words for the controls."""
ENOUGH = 0.95
"""What an attack must reach of a head that hides nothing."""
NEAR_CHANCE_SSIM, NEAR_CHANCE_LABELS = 0.05, 0.15
"""How far above chance it may be of noise."""


class Row(BaseModel):
    """One attack on one cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attack: Attack
    domain: str
    network: NetworkName | None = None
    """None: the finished model."""
    end: Literal["head", "tail"] | None = None
    """Where it is attacked."""
    depth: int | None = None
    """h of a head, t of a tail."""
    attacker: str
    """What it knows and has, in words."""
    figures: dict[str, float]
    chance: dict[str, float]
    """What anybody reaches, by figure."""

    @property
    def place(self) -> str:
        """Such as `D head, h = 0`."""
        if self.network is None:
            return "the model"
        letter = {"head": "h", "tail": "t"}[self.end or "head"]
        return f"{self.network[0].upper()} {self.end}, {letter} = {self.depth}"


class Audit(BaseModel):
    """`audit.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    round: int
    """From 1; 0: networks that were not trained."""
    algorithm: str
    seed: int
    effort: dict[str, int]
    """How much each attack was given."""
    rows: tuple[Row, ...]
    controls: tuple[Row, ...]
    """The same attacks where all, and where nothing, is to be found."""
    leakage: Leakage | None = None
    """By cut; None: no networks are cut, or inversion or labels were not attacked."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""
    pictures: tuple[Annotated[str, Field(pattern=r"^domain-\d+\.png$")], ...] = ()
    """Files in `RUN/audit/`."""

    @property
    def weak(self) -> list[str]:
        """Controls that the attacks failed, in words: then low figures prove nothing."""
        return [f"{row.attack} of {row.attacker}: {words}" for row in self.controls for words in _failures(row)]

    def of(self, attack: Attack) -> list[Row]:
        """The rows of an attack."""
        return [row for row in self.rows if row.attack == attack]

    def joined(self, before: Audit | None) -> Audit:
        """With the domains that another site has audited before; nothing where that was of another round or way."""
        alike = before is not None and (before.round, before.algorithm, before.seed, before.effort) == (
            self.round, self.algorithm, self.seed, self.effort,
        )  # fmt: skip
        here = {row.domain for row in self.rows}
        theirs = [row for row in before.rows if row.domain not in here] if before is not None and alike else []
        if before is None or not theirs:
            return self
        leakage = before.leakage if self.leakage is None else self.leakage.or_more(before.leakage)
        added = {
            "rows": (*theirs, *self.rows),
            "controls": (*before.controls, *self.controls),
            "leakage": leakage,
            "pictures": tuple(dict.fromkeys((*before.pictures, *self.pictures))),
        }
        return self.model_copy(update=added)

    def save(self, folder: Path) -> Path:
        """Writes `audit.json`. Raises RunError: it cannot be written."""
        write_json(folder / FILE, self.model_dump(mode="json"))
        return folder / FILE


def _failures(row: Row) -> list[str]:
    """What is wrong with a control's figures."""
    name = {"inversion": "ssim", "labels": "label_accuracy"}.get(row.attack)
    if name is None:
        return []
    value = row.figures[name]
    if row.attacker == IDENTITY:
        return [] if value > ENOUGH else [f"{name} {value:.2f}, not above {ENOUGH}"]
    if row.attacker == NOISE:
        line = row.chance["ssim_class_mean" if name == "ssim" else "majority"]
        most = line + (NEAR_CHANCE_SSIM if name == "ssim" else NEAR_CHANCE_LABELS)
        return [] if value <= most else [f"{name} {value:.2f}, above the line of chance, {line:.2f}"]
    return []


def read_audit(folder: Path) -> Audit | None:
    """The audit of a run; None: there was none.

    Raises:
        RunError: the file is damaged.
    """
    file = folder / FILE
    if not file.exists():
        return None
    try:
        return Audit.model_validate(read_json(file))
    except ValidationError as error:
        first = error.errors()[0]
        found = f"is damaged ({'.'.join(map(str, first['loc']))}: {first['msg']})"
        raise RunError(str(file), found, "audit the run again") from None


def parse_attacks(text: str | None) -> tuple[Attack, ...]:
    """`inversion,labels`; None: all. Raises InputError: a name that is no attack, or none."""
    if text is None:
        return ATTACKS
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in ATTACKS:
            raise InputError("--attacks", f"unknown attack {name!r}", instead_of(name, ATTACKS))
    if not names:
        raise InputError("--attacks", f"{text!r} names no attack", f"use one of {', '.join(ATTACKS)}")
    return tuple(attack for attack in ATTACKS if attack in names)


def leakage_of(rows: Sequence[Row], cuts: dict[NetworkName, Sequence[Cut]], own_labels: bool) -> Leakage | None:
    """The worst that any attacker came to at each cut, over all domains.

    Args:
        cuts: the valid ones of both networks.
        own_labels: whether fakes have the labels of a client's images, so that G's head tells them.
    """
    if not {"inversion", "labels"} <= {row.attack for row in rows}:
        return None
    labels = [row for row in rows if row.attack == "labels"]
    found = []
    for network, valid in cuts.items():
        for cut in valid:
            here = [row for row in labels if row.network == network and row.depth == cut[row.end == "tail"]]
            if network == "generator" and not own_labels:
                here = []
            images = [
                row for row in rows if row.attack == "inversion" and row.network == network and row.depth == cut[0]
            ]
            found.append(CutLeakage(network, cut, _most(images, "ssim"), _most(here, "label_accuracy")))
    return Leakage(tuple(found))


def _most(rows: Iterable[Row], figure: str) -> float:
    return max((row.figures[figure] for row in rows), default=0.0)


TITLES = {
    "inversion": "images rebuilt from what crosses",
    "labels": "labels read from what crosses",
    "distance_correlation": "distance correlation of images and what crosses (no grade: it rises with depth)",
    "membership": "members of the training set told from other images",
}
"""Of the tables."""
ATTACKERS = (
    "The attacker is the server. head: it knows D's head of this round, from aggregation; first head: only the one that "
    "all build from the seed; no head: it trains one of its own. test images: it has images of the client's domain on "
    "which no network was trained; images of: only another domain's; optimised images: it looks for those whose "
    "activations crossed (white box). no D, groups: gradients alone, each group taken for the class that suits it best."
)
"""What the rows' words mean."""
SHARES = ("identified", "recognised", "label_accuracy", "found_at_1_percent")
LINES: dict[str, tuple[str, ...]] = {
    "ssim": ("ssim_constant", "ssim_class_mean"),
    "label_accuracy": ("majority",),
    "identified": ("identified",),
    "distance_correlation": ("distance_correlation",),
    "auc": ("auc",),
}
"""Figure -> its lines of chance."""


def cells(row: Row) -> dict[str, str]:
    """A row as people read it: figures by name, each with its lines of chance in brackets."""
    return {
        "domain": row.domain,
        "where": row.place if row.network else "-",
        "attacker": row.attacker,
        **{name.replace("_", " "): _cell(row, name) for name in row.figures if name not in ("auc_low", "auc_high")},
    }


def _cell(row: Row, name: str) -> str:
    text = _number(name, row.figures[name])
    if name == "auc" and {"auc_low", "auc_high"} <= row.figures.keys():
        text += f" [{row.figures['auc_low']:.2f}, {row.figures['auc_high']:.2f}]"
    lines = [_number(name, row.chance[line]) for line in LINES.get(name, ()) if line in row.chance]
    return f"{text} ({', '.join(lines)})" if lines else text


def _number(name: str, value: float) -> str:
    if name == "psnr":
        return f"{value:.1f} dB"
    return f"{100 * value:.1f}%" if name in SHARES else f"{value:.2f}"


def as_json(audit: Audit) -> dict[str, Any]:
    """For `--json`."""
    return {**audit.model_dump(mode="json"), "weak": audit.weak}
