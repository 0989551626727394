"""A clustering rule of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from raygan.config.schema import ClusterConfig
from raygan.errors import ConfigError
from raygan.federated.rules import clustering, try_clustering

OWN = """
import numpy as np
def shifted(features, count, seed):
    return np.array([7, 3, 7])
def short(features, count, seed):
    return np.array([0])
def broken(features, count, seed):
    return features[99]
"""


def test_a_rule_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clusters are numbered from 0; what it does wrong is one line, before anything starts."""
    (tmp_path / "raygan_test_rules.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "raygan_test_rules", raising=False)
    assert clustering("raygan_test_rules:shifted")(np.eye(3), "auto", 0).tolist() == [1, 0, 1]
    for name, words in (
        ("short", r"raygan_test_rules:short returned int64 numbers of shape \(1,\) for 3 clients; return the number"),
        ("broken", r"raygan_test_rules:broken failed with IndexError: .* \(raygan_test_rules.py, line 8\); mend it"),
        ("none", "'raygan_test_rules:none' cannot be imported"),
    ):
        with pytest.raises(ConfigError, match=f"clusters.clustering: {words}"):
            try_clustering(ClusterConfig(clustering=f"raygan_test_rules:{name}"), 3)
