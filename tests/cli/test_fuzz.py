"""Whatever is written into a configuration, an override, a data file or a run's folder: a result or one clear line."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import raygan
from raygan.config.loading import make_config, read_config
from raygan.config.schema import Config
from raygan.errors import InputError
from raygan.report import write_report
from raygan.training.run import Run
from tests.cli.command import command
from tests.conftest import write_domain

FEW = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", "..", "../../etc/passwd", "/etc/passwd", "\x00", "nan", "1e999", "*a", "&a", "!!python/name:os.system", "auto"]),
    st.lists(st.one_of(st.none(), st.integers(-3, 3), st.text(max_size=3)), max_size=4),
    st.dictionaries(st.sampled_from(["name", "npz", "clients", "dirichlet", "x"]), st.integers(-3, 3), max_size=3),
    st.dates(),
    st.binary(max_size=3),
)  # fmt: skip


def _keys(model: dict, prefix: str = "") -> list[str]:
    below = [k for key, value in model.items() if isinstance(value, dict) for k in _keys(value, f"{prefix}{key}.")]
    return [prefix + key for key in model] + below


KEYS = [*_keys(Config().model_dump(mode="json")), "data.domains.0.npz", "data.domains.1.clients", "data.domains.0",
        "devices.profiles.small.flops_per_s", "cuts.fixed.small.generator", "nothing.such", "", "data..domains"]  # fmt: skip


def fine_or_one_line(action: Callable[[], Any]) -> None:
    """Anything but an `InputError` fails the test."""
    try:
        action()
    except InputError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000


@FEW
@given(key=st.sampled_from(KEYS), value=ODD)
def test_any_value_for_any_key(tiny_settings: dict, key: str, value: Any) -> None:
    from raygan.config.loading import set_key

    fine_or_one_line(lambda: make_config(set_key(tiny_settings, key, value)))


@FEW
@given(text=st.one_of(st.text(max_size=40), st.builds("{}={}".format, st.sampled_from(KEYS), st.text(max_size=20))))
def test_any_override(text: str) -> None:
    fine_or_one_line(lambda: read_config(None, [text]))


@FEW
@given(content=st.one_of(st.binary(max_size=60), st.recursive(ODD, lambda x: st.dictionaries(st.sampled_from([*Config.model_fields, "x"]), x, max_size=3)).map(lambda v: yaml.dump(v).encode())))
def test_any_file_as_a_configuration(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    fine_or_one_line(lambda: read_config(file))
