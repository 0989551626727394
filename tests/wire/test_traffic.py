"""What reaches the driver during a round, and what is inside everything that crosses."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray.experimental import get_object_locations

from raygan.config.loading import make_config
from raygan.data import load_client
from raygan.randomness import stream, torch_seed
from raygan.run.plan import Plan, make_plan
from raygan.runtime.ray import backend as ray_backend
from raygan.runtime.ray.backend import RayHandle
from raygan.runtime.ray.transport import Parcel
from raygan.wire.contract import SMALL, SMALL_BYTES
from raygan.wire.records import (
    arrays_of,
)
from tests.federations import on_ray

ROUND = 1


class Traffic:
    """Every reference that the driver was given, and every value that it fetched."""

    def __init__(self) -> None:
        self.references: list[ray.ObjectRef] = []
        self.fetched: list[Any] = []


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch) -> Traffic:
    seen = Traffic()
    submitted, gather = RayHandle._submitted, ray_backend.gather  # every call goes through there

    def spy_submitted(self: RayHandle[Any], *args: Any, **options: Any) -> Any:
        seen.references += (references := submitted(self, *args, **options))
        return references

    def spy_gather(*args: Any) -> list[Any]:
        seen.fetched += (values := gather(*args))
        return values

    monkeypatch.setattr(RayHandle, "_submitted", spy_submitted)
    monkeypatch.setattr(ray_backend, "gather", spy_gather)
    return seen


@pytest.fixture
def plan(tiny_settings: dict) -> Plan:
    return make_plan(make_config(tiny_settings))


@pytest.fixture
def a_round(small_ray: None, plan: Plan, traffic: Traffic) -> Iterator[Traffic]:
    started = on_ray(plan)
    result = plan.algorithm.round(started.federation, plan.algorithm.init(), started.cohort(ROUND, 3))
    assert len(result.epochs.reports) == 3 * len(plan.layout.workers)
    ray.wait(traffic.references, num_returns=len(traffic.references), fetch_local=False)
    yield traffic
    started.close()


def test_no_bulk_reaches_the_driver_and_nothing_private_crosses(a_round: Traffic, plan: Plan) -> None:
    _nothing_large_is_in_the_drivers_memory(a_round)
    _only_small_records_were_fetched(a_round)
    _no_image_and_no_label_is_in_any_object(a_round, plan)


def _nothing_large_is_in_the_drivers_memory(seen: Traffic) -> None:
    """An object is either in a node's store (it has a node) or in its owner's memory (the driver's)."""
    locations = get_object_locations(seen.references)
    in_store = [place for place in locations.values() if place["node_ids"]]
    inline = {reference: place for reference, place in locations.items() if not place["node_ids"]}
    assert max(place["object_size"] for place in inline.values()) <= SMALL_BYTES
    for reference in inline:
        value = ray.get(reference)
        assert value is None or isinstance(value, (Parcel, *SMALL)), f"{type(value).__name__} reached the driver"
        assert not list(arrays_of(value))
    assert len(inline) > 100, "the test has seen the calls of three steps"
    assert all(place["object_size"] > 0 for place in in_store)


def _only_small_records_were_fetched(seen: Traffic) -> None:
    assert seen.fetched
    for value in seen.fetched:
        assert value is None or isinstance(value, SMALL)
        assert len(pickle.dumps(value)) <= SMALL_BYTES


def _no_image_and_no_label_is_in_any_object(seen: Traffic, plan: Plan) -> None:
    values = ray.get(seen.references)
    parcels = ray.get([value.reference for value in values if isinstance(value, Parcel)])
    arrays = [array for value in (*values, *parcels) for array in arrays_of(value)]
    assert len(arrays) > 500
    crossed = b"".join(array.tobytes() for array in arrays)
    for client in plan.layout.clients:
        data = load_client(client.data)
        images, labels = data.batch(np.arange(len(data)))
        for image, raw in zip(images, data.images, strict=True):
            assert image.tobytes() not in crossed
            assert raw.tobytes() not in crossed
        latent = torch.Generator().manual_seed(torch_seed(plan.config.seed, "latent", ROUND, client.client))
        for z in torch.randn(3, 8, plan.layout.spec.latent_size, generator=latent).numpy().reshape(24, -1):
            assert z.tobytes() not in crossed
        shuffle = stream(plan.config.seed, "batches", ROUND, client.client)
        for batch in data.epoch_batches(shuffle, plan.config.training.batch_size):
            for dtype in (np.int64, np.int32, np.uint8, np.float32, np.float64):
                assert labels[batch].astype(dtype).tobytes() not in crossed
    assert not [array for array in arrays if array.dtype.kind not in "f" and array.ndim > 0]
