"""Ray Direct Transport carries what the object store carries; without it, one line says what to do."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import ray
import torch

from raygan.config.loading import make_config
from raygan.errors import ConfigError, WireError
from raygan.names import Codec
from raygan.run.plan import Plan, make_plan
from raygan.runtime.ray import transport as wire
from raygan.runtime.ray.backend import RayHandle
from raygan.runtime.ray.transport import check_direct
from raygan.wire.codec import decode, encode, is_finite
from raygan.wire.contract import checked
from raygan.wire.records import (
    CODECS,
    Activations,
    BodyReport,
    Encoded,
    State,
    StepId,
    StepReport,
    num_bytes,
    wire_bytes,
)
from tests.federations import in_process, on_ray
from tests.run.test_codecs import steps


def make(tiny_settings: dict, codec: str = "float32", **keys: object) -> Plan:
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": 2, **keys}
    return make_plan(make_config(tiny_settings | {"wire": {"codec": codec}, "ray": ray_settings}))


@pytest.mark.parametrize("codec", CODECS)
def test_tensors_travel_as_arrays_do(codec: Codec) -> None:
    x = torch.randn(6, 5, 4)[2:4].transpose(1, 2)
    (part,), (array,) = encode([x], codec, direct=True), encode([x], codec)
    assert torch.equal(decode(part), decode(array))
    payload = part.payload if isinstance(part, Encoded) else part
    assert isinstance(payload, torch.Tensor)
    assert payload.is_contiguous()
    assert payload.untyped_storage().nbytes() == payload.nbytes, "the receiver is given access to all of it"
    record = Activations(StepId(0, 0), {1: (part,)})
    assert checked(record) is record
    assert num_bytes(record) == wire_bytes(40, codec)
    (bad,) = encode([x / 0], codec, direct=True)
    assert not is_finite(bad)


@pytest.mark.parametrize(
    "record",
    [
        Activations(StepId(0, 0), {0: (torch.arange(8),)}),
        Activations(StepId(0, 0), {0: (Encoded("int8", torch.arange(8), 0.1),)}),
        State(1, {("generator", 0): {"w": torch.zeros(2)}}),  # type: ignore[dict-item]
    ],
)
def test_the_wire_contract_holds_for_tensors(record: object) -> None:
    with pytest.raises(WireError):
        checked(record)


@pytest.mark.parametrize("codec", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_directly_or_through_the_store_it_is_the_same_training(
    small_ray: None, tiny_settings: dict, codec: str
) -> None:
    pytest.importorskip("nixl", reason="Ray Direct Transport needs the extra `direct`")
    reports, digest = steps(in_process(make(tiny_settings, codec)))
    started = on_ray(make(tiny_settings, codec, transport="direct"))
    try:
        direct_reports, direct_digest = steps(started)
    finally:
        started.close()
    assert direct_digest == digest
    assert [r.bytes_received for r in direct_reports] == [r.bytes_received for r in reports]


def test_a_lost_client_is_left_out(small_ray: None, tiny_settings: dict) -> None:
    pytest.importorskip("nixl", reason="Ray Direct Transport needs the extra `direct`")
    started = on_ray(make(tiny_settings, transport="direct", clients_per_actor=1))
    try:
        started.begin_round(0)
        started.reports(StepId(0, 0))
        struck = started.backend.workers[3]
        assert isinstance(struck, RayHandle)
        ray.kill(struck.actor)
        step = started.step(StepId(0, 1))
        assert step.server is not None
        (body,) = started.backend.fetch([step.server])
        reports = started.backend.fetch([step.workers[worker] for worker in (0, 1, 2, 4, 5)])
    finally:
        started.close()
    assert isinstance(body, BodyReport)
    assert body.absent == (3,)
    assert all(isinstance(report, StepReport) for report in reports)
    assert all(np.isfinite(list(report.generator_loss.values())).all() for report in reports)


def test_where_it_does_not_work_one_line_says_so(small_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "DIRECT", "pigeon")
    with pytest.raises(ConfigError) as refused:
        check_direct()
    assert str(refused.value).startswith("ray.transport: direct, but it does not work here (ValueError: ")
    assert str(refused.value).endswith("install raygan[direct], or leave it at object_store")


def test_an_actor_without_nixl_says_so(small_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "nixl"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nixl", None)
    with pytest.raises(ConfigError, match="nixl"):
        check_direct()
