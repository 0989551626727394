"""An audit of a run that hid D: the client's own D makes what crosses, and no attacker has it."""

from __future__ import annotations

import json
import shutil
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import raygan
from raygan.cli import audit as command_of_audit
from raygan.config.loading import make_config
from raygan.privacy.labels import grouped_accuracy
from raygan.privacy.subject import parties, subject_of_run
from raygan.run.stored import Run
from raygan.split.client import Client
from tests.cli.command import command
from tests.privacy.test_audit import FEW
from tests.secure.federated import settings_of
from tests.secure.test_hidden import hidden


@pytest.fixture
def run(
    tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, dict[int, dict[str, np.ndarray]]]:
    """And what its clients saved, before it was sealed."""
    saved: dict[int, dict[str, np.ndarray]] = {}
    arrays = Client.arrays

    @wraps(arrays)
    def remembering(self: Client) -> dict[str, np.ndarray]:
        saved[self.plan.client] = arrays(self)
        return saved[self.plan.client]

    monkeypatch.setattr(Client, "arrays", remembering)
    monkeypatch.setattr(command_of_audit, "EFFORT", FEW)
    settings = hidden(settings_of(tiny_settings, "huscf"), tmp_path / "keys")
    settings["training"] = settings["training"] | {"rounds": 1}
    return raygan.train(make_config(settings), tmp_path / "run", in_process=True).path, saved


@pytest.mark.slow
def test_only_attackers_without_d_are_left(run: tuple[Path, dict[int, dict[str, np.ndarray]]], tmp_path: Path) -> None:
    path, saved = run
    subject = subject_of_run(Run.load(path), None)
    (party, *_), _ = parties(subject, False)
    first = subject.networks_of(party).discriminator[0].state_dict()
    assert first
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor.numpy(), saved[party.client][f"discriminator.0.{name}"])

    outcome = command("audit", path, "--json")
    assert outcome.status == 0, outcome.err
    document = json.loads(outcome.out)
    of = {row["attack"]: set() for row in document["rows"]}
    for row in document["rows"]:
        of[row["attack"]].add((row["network"], row["end"], row["attacker"]))
    assert of == {
        "inversion": {("discriminator", "head", "no head, test images")},
        "labels": {
            ("discriminator", "head", "no head, test images"),
            ("discriminator", "tail", "no D, groups"),
            ("generator", "head", "head"),
        },
        "distance_correlation": {("discriminator", "head", "activations")},
        "membership": {(None, None, "samples of G")},
    }
    assert "D is hidden from the server" in document["notes"][0]
    assert document["leakage"]["cuts"]

    shutil.move(tmp_path / "keys", tmp_path / "elsewhere")
    command("audit", path).assert_refused(".key: is not here, and the client's discriminator is sealed under it")


def test_groups_by_hand() -> None:
    """Three directions, one a label, told up to their names; of shuffled labels chance is left."""
    labels = torch.arange(60) % 3
    crossing = torch.eye(3)[(labels + 1) % 3] * torch.rand(60, 1, generator=torch.Generator().manual_seed(0)).add(1)
    found, chance = grouped_accuracy(crossing, labels, 3, 0)
    assert found == 1
    assert 1 / 3 <= chance < 0.6
