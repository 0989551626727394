"""What one key of a search may become: values to choose from, or a range to draw from.

| in the file | means |
|---|---|
| `{grid: [a, b]}` | every value, crossed with the other grids |
| `{choice: [a, b]}` | one of the values, drawn evenly |
| `{uniform: [low, high]}` | a number between |
| `{quniform: [low, high, step]}` | the same, rounded to steps |
| `{loguniform: [low, high]}` | a number between, even in its logarithm |
| `{randint: [low, high]}` | a whole number from `low` to `high - 1` |

Values that are lists or mappings have names: `{choice: {planned: {solver: exact}, ours: {...}}}`; tables, logs and
searchers then show the name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray import tune

from raygan.config.loading import as_number

KINDS = ("grid", "choice", "uniform", "quniform", "loguniform", "randint")
Label = str | int | float | bool | None


@dataclass(frozen=True)
class Domain:
    """What one key may become. A *label* stands for a value: its name if it has one, else the value itself."""

    kind: str
    values: Mapping[Label, Any]
    """Label -> value, of `grid` and `choice`."""
    bounds: tuple[float, ...] = ()
    """low, high and perhaps step, of a range."""

    @property
    def is_range(self) -> bool:
        """Whether there are too many values to try each."""
        return not self.values

    @property
    def probes(self) -> list[Label]:
        """Labels to check before a search: all, or the ends of a range."""
        if self.values:
            return list(self.values)
        low, high = self.bounds[:2]
        return [low, high - 1] if self.kind == "randint" else [low, high]

    def value(self, label: Any) -> Any:
        """What a label stands for; what PBT has changed beyond the labels stands for itself."""
        return self.values.get(label, label)

    def sample(self, rng: np.random.Generator) -> Label:
        """A label, drawn as the kind says."""
        if self.values:
            return list(self.values)[int(rng.integers(len(self.values)))]
        drawn: float = self.of_tune.sample(random_state=rng)
        return drawn

    def suggest(self, trial: Any, name: str) -> Any:
        """A label, asked of an Optuna trial."""
        if self.values:
            return trial.suggest_categorical(name, list(self.values))
        low, high = self.bounds[:2]
        if self.kind == "randint":
            return trial.suggest_int(name, low, high - 1)
        step = self.bounds[2] if self.kind == "quniform" else None
        return trial.suggest_float(name, low, high, step=step, log=self.kind == "loguniform")

    @property
    def of_tune(self) -> Any:
        """The same in Ray Tune's form: a list of labels, or a range."""
        return list(self.values) if self.values else getattr(tune, self.kind)(*self.bounds)


def parse_domain(given: Any) -> Domain:
    """A domain as the file has it. Raises ValueError: `what was found; what to do`."""
    if isinstance(given, Domain):
        return given
    if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in KINDS:
        raise ValueError(f"{given!r} is no space; give one of {', '.join(KINDS)}, such as grid: [1, 2]")
    ((kind, arguments),) = given.items()
    if kind in ("grid", "choice"):
        return Domain(kind, _labelled(kind, arguments))
    return Domain(kind, {}, _bounds(kind, arguments))


def _labelled(kind: str, given: Any) -> dict[Label, Any]:
    if isinstance(given, Mapping) and given:
        return {str(name): value for name, value in given.items()}
    if not isinstance(given, list) or not given:
        raise ValueError(f"{kind}: {given!r} is no list of values; give at least one")
    for value in given:
        if isinstance(value, (list, Mapping)):
            raise ValueError(f"{kind}: {value!r} has no name; write {kind}: {{name: value, ...}}")
    values = [as_number(value) for value in given]
    for n, value in enumerate(values):
        if any(value == before for before in values[:n]):
            raise ValueError(f"{kind}: {value!r} is given twice; give each value once")
    return {value: value for value in values}


def _bounds(kind: str, given: Any) -> tuple[float, ...]:
    count = 3 if kind == "quniform" else 2
    numbers = [as_number(value) for value in given] if isinstance(given, list) else []
    proper = [n for n in numbers if isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n)]
    if len(numbers) != count or len(proper) != count:
        form = "[low, high, step]" if count == 3 else "[low, high]"
        raise ValueError(f"{kind}: {given!r} does not fit; give {form}, numbers")
    low, high, *step = proper
    if low >= high:
        raise ValueError(f"{kind}: {low:g} is not below {high:g}; give the lower number first")
    if kind == "loguniform" and low <= 0:
        raise ValueError(f"{kind}: {low:g} has no logarithm; give numbers above 0")
    if kind == "randint" and any(n != int(n) for n in proper):
        raise ValueError(f"{kind}: {given!r} does not fit; give whole numbers")
    if step and step[0] <= 0:
        raise ValueError(f"{kind}: step {step[0]:g}; give a step above 0")
    return tuple(map(int, proper)) if kind == "randint" else tuple(proper)
