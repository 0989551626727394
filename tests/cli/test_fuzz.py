"""Whatever is written into a configuration, an override, a data file or a run's folder: a result or one clear line."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygan.algorithms.base import ServerState
from raygan.config.loading import make_config, read_config, set_key
from raygan.config.schema import Config, DataConfig, DomainConfig
from raygan.data import describe_domain, load_domain
from raygan.errors import MAX_LENGTH, InputError
from raygan.report.record import read_record
from raygan.run.checkpoints import Checkpoints, _digest
from raygan.run.folder import RunFolder
from raygan.run.stored import Run
from tests.conftest import write_domain

FEW = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = (
    "",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "\x00",
    "nan",
    "1e999",
    "*a",
    "!!python/name:os.system",
    "auto",
)
SMALL = st.integers(-3, 3)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(TEXTS),
    st.lists(st.one_of(st.none(), SMALL, st.text(max_size=3)), max_size=4),
    st.dictionaries(st.sampled_from(["name", "npz", "clients", "dirichlet", "x", 1, None]), SMALL, max_size=3),
    st.dates(),
    st.binary(max_size=3),
)


def _keys(model: dict, prefix: str = "") -> list[str]:
    inner = {key: value for key, value in model.items() if isinstance(value, dict)}
    below = [name for key, value in inner.items() for name in _keys(value, f"{prefix}{key}.")]
    return [prefix + key for key in model] + below


KEYS = [
    *_keys(Config().model_dump(mode="json")),
    *("data.domains.0", "data.domains.0.npz", "data.domains.1.clients", "data..domains", "nothing.such", ""),
    *("devices.profiles.small.flops_per_s", "cuts.fixed.small.generator"),
]


def fine_or_one_line(action: Callable[[], Any]) -> None:
    """Anything but an `InputError` fails the test."""
    said = ""
    try:
        action()
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) <= MAX_LENGTH


@FEW
@given(key=st.sampled_from(KEYS), value=ODD)
def test_any_value_for_any_key(tiny_settings: dict, key: str, value: Any) -> None:
    fine_or_one_line(lambda: make_config(set_key(tiny_settings, key, value)))


@FEW
@given(st.one_of(st.text(max_size=40), st.builds("{}={}".format, st.sampled_from(KEYS), st.text(max_size=20))))
def test_any_override(text: str) -> None:
    fine_or_one_line(lambda: read_config(None, [text]))


NESTED = st.recursive(
    ODD, lambda inner: st.dictionaries(st.sampled_from([*Config.model_fields, "x"]), inner, max_size=3)
)


@FEW
@given(st.one_of(st.binary(max_size=60), NESTED.map(lambda value: yaml.dump(value).encode())))
def test_any_file_as_a_configuration(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    fine_or_one_line(lambda: read_config(file))


def _damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut off, one byte altered, bytes put in or taken out."""
    where = rng.randrange(len(content))
    return {
        0: content[:where],
        1: content[:where] + bytes([rng.randrange(256)]) + content[where + 1 :],
        2: content[:where] + rng.randbytes(3) + content[where:],
        3: content[:where] + content[where + rng.randrange(1, 50) :],
    }[rng.randrange(4)]


@FEW
@given(seed=st.integers(0, 2**32))
def test_any_damage_to_a_data_file(tmp_path: Path, seed: int) -> None:
    whole = tmp_path / "whole.npz"
    if not whole.exists():
        write_domain(whole, 0, num_train=8, side=8)
    file = tmp_path / f"domain{seed}.npz"  # a name of its own: what was read once is kept
    file.write_bytes(_damaged(whole.read_bytes(), random.Random(seed)))
    domain = DomainConfig(npz=str(file))
    fine_or_one_line(lambda: describe_domain(domain, DataConfig()))
    fine_or_one_line(lambda: load_domain(domain, DataConfig()))
    file.unlink()


def _mutated(value: Any, rng: random.Random) -> Any:
    """A JSON document with one value altered or taken out, at any depth."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.05:
        return rng.choice([None, True, -1, 2**70, float("nan"), "x", "../../x", [], {}, [1], {"a": 1}])
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    key = rng.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    if rng.random() < 0.2:
        del copy[key]
    else:
        copy[key] = _mutated(copy[key], rng)
    return copy


def _altered(name: str, content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.4 or name.endswith(".safetensors"):
        return _damaged(content, rng)
    if name.endswith(".yaml"):
        return yaml.safe_dump(_mutated(yaml.safe_load(content), rng)).encode()
    lines = [json.loads(line) for line in (content.splitlines() if name.endswith("l") else [content])]
    lines[0] = _mutated(lines[0], rng)
    if name.endswith("manifest.json") and isinstance(lines[0], dict):  # with a right checksum
        lines[0].pop("digest", None)
        lines[0]["digest"] = _digest(lines[0])
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


ROUND = "checkpoints/round-0002"
FILES = (
    "config.yaml", "metrics.jsonl", "clusters.jsonl", "cuts.json", "costs.json", "summary.json",
    f"{ROUND}/manifest.json", f"{ROUND}/cluster-0.safetensors", f"{ROUND}/body.safetensors",
)  # fmt: skip


def _read_all(path: Path) -> None:
    """As `report`, `sample` and `evaluate` read a run."""
    fine_or_one_line(lambda: read_record(path))
    fine_or_one_line(lambda: (Run.load(path).metrics, Run.load(path).clusters, Run.load(path).ended))
    fine_or_one_line(lambda: Run.load(path).generators())
    fine_or_one_line(lambda: Run.load(path).membership(2))


def _rewind(path: Path) -> None:
    """As `train --resume` goes back to the last whole round."""
    folder = RunFolder(path)
    with contextlib.suppress(InputError):
        checkpoints = Checkpoints(folder.checkpoints, Run.load(path).config.checkpoints)
        kept = folder.rewind(checkpoints, ["clusters"], lambda text: None)
        assert len(folder.metrics()) == len(folder.records("clusters")) == kept
        if kept:
            checkpoints.of(kept - 1).manifest().server_state(ServerState(), range(2))
    fine_or_one_line(folder.documents)


@FEW
@given(seed=st.integers(0, 2**32), name=st.sampled_from(FILES))
def test_any_damage_to_a_run(kept: Path, tmp_path: Path, seed: int, name: str) -> None:
    run = tmp_path / "run"
    if not run.exists():
        shutil.copytree(kept, run)
    before = {file: (run / file).read_bytes() for file in FILES}
    (run / name).write_bytes(_altered(name, before[name], random.Random(seed)))
    _read_all(run)
    _rewind(run)
    for file, content in before.items():
        (run / file).write_bytes(content)


@pytest.fixture(autouse=True)
def _no_warnings(recwarn: pytest.WarningsRecorder) -> None:
    """Odd data warns; that is not what is tested here."""
