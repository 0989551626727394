"""The paper's six scenarios as the configuration keys that they set, with the values of the code that was published.

notMNIST (scenario 6) is in no library: make an `.npz` file of it (README, "Use it") and put it into the current
folder as `notmnist.npz`, or give `data.domains` yourself.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

CLIENTS_PER_DOMAIN = 20
MNIST, FASHION_MNIST, KMNIST = {"name": "mnist"}, {"name": "fashion_mnist"}, {"name": "kmnist"}
NOTMNIST = {"npz": "notmnist.npz"}

SCENARIOS: dict[int, tuple[tuple[dict[str, str], ...], str]] = {
    1: ((MNIST,), "iid"),
    2: ((MNIST,), "non_iid"),
    3: ((MNIST, FASHION_MNIST), "iid"),
    4: ((MNIST, FASHION_MNIST), "non_iid"),
    5: ((MNIST, FASHION_MNIST), "highly_non_iid"),
    6: ((MNIST, FASHION_MNIST, KMNIST, NOTMNIST), "iid"),
}
"""Domains and partition of each scenario (the paper's section on experiments)."""

NUM_IMAGES = 60_000
"""Of which the clients of all domains have an equal share each, whatever a domain has."""

COMMON: dict[str, dict[str, Any]] = {
    "training": {
        "batch_size": 64,
        "local_epochs": 5,
        "rounds": 50,
        "steps": "everybody",
        "lr": 2e-4,
        "average": None,
    },
    "model": {"width": 1.0, "networks": "paper"},
    "cuts": {"bodies": "shared"},
    "evaluation": {"usefulness_images": 30_000},
}
"""What all scenarios share."""


def scenario_settings(number: int) -> dict[str, Any]:
    """The keys that scenario `number` (1 to 6) sets, nested as in a configuration file; other keys stay."""
    domains, partition = SCENARIOS[number]
    dealt = [{**domain, "clients": CLIENTS_PER_DOMAIN} for domain in domains]
    images = NUM_IMAGES // (CLIENTS_PER_DOMAIN * len(domains))
    data = {"domains": dealt, "partition": partition, "images_per_client": images}
    return {"data": data, **copy.deepcopy(COMMON)}


def with_scenario(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the keys of their `scenario` filled in; keys that are given win, lists as a whole.

    `scenario: 5` and `training: {rounds: 3}` is scenario 5 with 3 rounds. A `scenario` that does not exist is left
    for the schema to refuse.
    """
    number = settings.get("scenario")
    if type(number) is not int or number not in SCENARIOS:
        return dict(settings)
    return _merged(scenario_settings(number), settings)


def _merged(preset: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(preset)
    for key, value in given.items():
        below = preset.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merged(below, value)
        merged[key] = value
    return merged
