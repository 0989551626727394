"""An oracle imports nothing that it judges: a mistake that both share would pass."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MAY_IMPORT = {
    "run/reference.py": {
        "ClientPlan", "Layout", "Config", "NETWORKS", "NetworkName", "State", "Transform",  # records
        "build_networks", "draw_transform", "load_client", "stream", "torch_seed",  # inputs
    },
    "cuts/reference.py": {"Device", "NetworkCost", "Server"},
}  # fmt: skip
"""Oracle -> what it takes from raygan: records, and inputs that both sides must share."""


@pytest.mark.parametrize("oracle", MAY_IMPORT)
def test_an_oracle_shares_records_and_inputs_only(oracle: str) -> None:
    tree = ast.parse((TESTS / oracle).read_text())
    modules = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert not [name for name in modules if name.startswith("raygan")], "name what is imported"
    taken = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("raygan")
        for name in node.names
    }
    assert taken <= MAY_IMPORT[oracle]
