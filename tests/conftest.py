"""Small federations that every part of the suite shares."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
import yaml

import raygan
from raygan.config.loading import make_config

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads starve the actors

DEVICES = {
    name: {"flops_per_s": 1e9, "bytes_per_s": 1e8, "resources": {name: 1}} for name in ("small", "medium", "large")
}
CUTS = {
    "small": {"generator": [0, 0], "discriminator": [0, 0]},
    "medium": {"generator": [0, 1], "discriminator": [1, 0]},
    "large": {"generator": [1, 1], "discriminator": [1, 1]},
}


RESOURCES = {"small": 4, "medium": 4, "large": 4, "body": 2}
"""Of a small Ray."""


def write_domain(path: Path, seed: int, num_train: int = 96, num_classes: int = 4, side: int = 12) -> Path:
    """A domain whose classes can be told apart: bright squares at a place that depends on seed and class."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for part, count in (("train", num_train), ("test", 24)):
        labels = np.arange(count) % num_classes
        images = rng.integers(0, 40, size=(count, side, side))
        for image, label in zip(images, labels, strict=True):
            row, column = divmod(int(label), 2)
            image[6 * row : 6 * row + 5, 6 * column + seed % 2 : 6 * column + 5] += 200
        arrays[f"{part}_images"] = images.astype(np.uint8)
        arrays[f"{part}_labels"] = labels.astype(np.uint8)
    np.savez(path, classes=np.array([f"c{label}" for label in range(num_classes)]), **arrays)
    return path


@pytest.fixture(scope="session")
def tiny_settings(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Two domains, six clients, three profiles with different cuts, two rounds of three steps."""
    folder = tmp_path_factory.mktemp("data")
    first, second = (write_domain(folder / f"domain{n}.npz", n) for n in range(2))
    return {
        "data": {"domains": [{"npz": str(first), "clients": 3}, {"npz": str(second), "clients": 3}]},
        "model": {"width": 0.0625, "image_size": 12, "latent_size": 8, "networks": "paper"},
        "training": {"rounds": 2, "batch_size": 8, "lr": 5e-4, "average": None},
        "clusters": {"count": 2, "warmup_rounds": 1, "feature_batches": 2},
        "devices": {"fleet": ["small", "medium", "large"], "profiles": DEVICES},
        "cuts": {"solver": "fixed", "fixed": CUTS, "bodies": "shared"},
        "ray": {"client_threads": 1, "body_threads": 1},
        "evaluation": {"images": 40},
    }


@pytest.fixture(autouse=True)
def _no_ray_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that tests call in this process start no Ray ahead: after a mistake in the plan they would end the process
    with it."""
    monkeypatch.setattr("raygan.runtime.ray.ahead.begin", lambda config: None)


@pytest.fixture(scope="session")
def kept(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for all tests that only read it or copy it: two rounds of the tiny federation."""
    path = tmp_path_factory.mktemp("stored") / "run"
    return raygan.train(make_config(tiny_settings), path, in_process=True).path


@pytest.fixture(scope="session")
def two_clients(tiny_settings: dict) -> dict:
    """The smallest federation: two domains of one client each, in one actor."""
    domains = [{**domain, "clients": 1, "limit": 32} for domain in tiny_settings["data"]["domains"]]
    return tiny_settings | {
        "data": {"domains": domains},
        "devices": {"fleet": ["small"], "profiles": DEVICES},
        "cuts": {"solver": "fixed", "bodies": "shared"},
        "training": {"rounds": 3, "batch_size": 8, "lr": 5e-4, "average": None},
        "evaluation": {"images": 8},
        "ray": {"clients_per_actor": 2, "body_threads": 1},
        "checkpoints": {"keep": None},
    }


@pytest.fixture
def search_file(two_clients: dict, tmp_path: Path) -> Path:
    """A search that is fine as it is."""
    path = tmp_path / "tiny.yaml"
    settings = {
        "base": two_clients,
        "space": {"clusters.count": {"grid": [1, 2]}, "training.lr": {"choice": [1e-3, 1e-4]}},
        "metric": "discriminator_loss",
        "mode": "min",
    }
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Classifiers and measurements go to a folder of the test session, not to the user's, for fixtures of every scope."""
    from raygan.config import schema
    from raygan.simulation import vmap_timings as timings

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "CLASSIFIERS", str(tmp_path_factory.getbasetemp() / "classifiers"))
        patch.setattr(timings, "CACHE", tmp_path_factory.getbasetemp() / "vmap")
        yield


SESSION = pytest.StashKey[pytest.Session]()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[SESSION] = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the process at once, with pytest's status: three of some dozens of full runs ended in a segmentation fault
    (status 139) after the last test, while the process took itself apart.

    No Python thread is left by then. `ray.shutdown()` leaves native threads of Ray's library that Python cannot end:
    OpenCensus's harvester (`DeltaProducer::RunHarvesterLoop`), gRPC's event engine, executors and timers,
    `gcs_client_io_service`, and for each Ray of a process but the first an exporter of OpenTelemetry
    (`PeriodicExportingMetricReader::DoBackgroundWork`). Which one crashes is not known, for it could not be made to
    happen: 12 processes of 40 Rays each, 60 of one Ray, and runs of `raygan train` and of a part of the suite that
    were held for 8 s before and after the libraries' destructors, their exporters waking every 0.2 s, ended well.
    """
    session = config.stash.get(SESSION, None)
    if session is None:
        return
    ray.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(session.exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on the small Ray come last, so that it starts once, and no other test finds a Ray that is not its own."""
    items.sort(key=lambda item: "small_ray" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def small_ray() -> Iterator[None]:
    """One small Ray for all tests that ask for it; an actor that a test has started, it ends."""
    ray.init(
        "local",
        num_cpus=2,
        resources=RESOURCES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()
