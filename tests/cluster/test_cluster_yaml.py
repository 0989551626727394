"""`cluster.yaml` as Ray reads it, against the device catalogue."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from raygan.config import catalogue
from raygan.config.devices import SERVER_RESOURCE
from raygan.runtime.ray.capacity import Node, place
from raygan.runtime.ray.demand import ActorDemand
from raygan.runtime.ray.nodes import autoscaler_of

FILE = Path(__file__).parents[2] / "cluster.yaml"


@pytest.fixture
def settings() -> dict:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.fixture
def prepared(settings: dict) -> dict:
    return prepare_config(copy.deepcopy(settings))


def devices(settings: dict) -> dict:
    kinds = settings["available_node_types"]
    return {name: kind for name, kind in kinds.items() if "device" in kind.get("labels", {})}


def test_ray_takes_it(settings: dict, prepared: dict) -> None:
    validate_config(prepared)
    assert prepared["head_node_type"] == "head"
    install = 'pip install -q /home/ray/raygan "ray[default,tune]==2.58.0"'
    assert install in prepared["worker_setup_commands"]
    assert install in prepared["head_setup_commands"]
    for name, kind in prepared["available_node_types"].items():
        assert kind["resources"] == settings["available_node_types"][name]["resources"]
        assert kind.get("labels", {}) == settings["available_node_types"][name].get("labels", {})


def test_images_and_pages_have_one_ray(settings: dict) -> None:
    docs = FILE.parent / "raygan" / "docs"
    (version,) = re.findall(r"^rayproject/ray:([\d.]+)-py311$", settings["docker"]["image"])
    assert f"FROM {settings['docker']['image']}\n" in (docs / "Dockerfile").read_text(encoding="utf-8")
    assert yaml.safe_load((docs / "raycluster.yaml").read_text(encoding="utf-8"))["spec"]["rayVersion"] == version
    assert f"ray[default]=={version}" in (docs / "cluster.md").read_text(encoding="utf-8")


def test_pods_declare_devices_of_the_catalogue() -> None:
    file = FILE.parent / "raygan" / "docs" / "raycluster.yaml"
    groups = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]["workerGroupSpecs"]
    declared = [json.loads(json.loads(group["rayStartParams"]["resources"])) for group in groups]
    assert declared[0] == {SERVER_RESOURCE: 1}
    assert declared[1:] == [catalogue()[name].resources for name in ("jetson_nano", "workstation")]


def test_ray_refuses_a_share_of_a_resource(prepared: dict) -> None:
    prepared["available_node_types"]["jetson_nano"]["resources"]["jetson_nano"] = 0.5
    with pytest.raises(ValidationError):
        validate_config(prepared)


def test_device_nodes_are_profiles_of_the_catalogue(settings: dict) -> None:
    assert len(devices(settings)) >= 3
    for name, kind in devices(settings).items():
        profile = catalogue()[name]
        assert kind["resources"] == profile.resources
        assert kind["labels"] == {"device": name}
        assert kind["min_workers"] == 0 < kind["max_workers"]


def test_other_nodes_are_the_head_and_the_bodys(settings: dict) -> None:
    others = settings["available_node_types"].keys() - devices(settings).keys()
    assert others == {"head", "body", "body_gpu"}
    body, gpu = (settings["available_node_types"][name] for name in ("body", "body_gpu"))
    assert body["resources"] == {SERVER_RESOURCE: 1}
    assert gpu["resources"] == {SERVER_RESOURCE: 1, "GPU": 1}


def test_the_demos_actors_fit_what_the_autoscaler_may_start(settings: dict) -> None:
    """Six clients over the default fleet, one actor each, and the body."""
    fleet = ("raspberry_pi_4", "jetson_nano", "workstation") * 2
    clients = [ActorDemand(f"client-{n}", 0, 0, catalogue()[p].resources, {}, p) for n, p in enumerate(fleet)]
    body = ActorDemand("body", 0, 0, {SERVER_RESOURCE: 1}, {})
    placement = place([body, *clients], [Node({"CPU": 4}, {"CPU": 4}, {})], autoscaler_of(settings))
    assert not placement.unplaced
    assert placement.started == {"body": 1, "raspberry_pi_4": 2, "jetson_nano": 2, "workstation": 2}
