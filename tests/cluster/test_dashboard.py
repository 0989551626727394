"""Ray's dashboard in a real browser, while a run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.browser import CHROMIUM, page_text
from tests.cluster.started import started_cluster, wait_for
from tests.cluster.test_jobs import RESOURCES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

NAMES = [f"client-{n:02d} {p}" for n, p in enumerate(("small", "medium", "large") * 2)]
NAMES += ["body", "evaluator", "aggregator-0", "aggregator-1"]


def test_the_actors_page_shows_names_that_a_person_understands(tiny_settings: dict, tmp_path: Path) -> None:
    settings = tiny_settings | {
        "training": tiny_settings["training"] | {"rounds": 100000},
        "ray": tiny_settings["ray"] | {"clients_per_actor": 1},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    with started_cluster("--num-cpus=4", f"--resources={RESOURCES}") as cluster:
        command = ("raygan", "train", str(tmp_path / "config.yaml"), "--address", cluster.address)
        train = cluster.popen(*command, "--out", str(tmp_path / "run"))
        try:
            begun = tmp_path / "run" / "clusters.jsonl"
            wait_for(lambda: train.poll() is not None or begun.exists(), 240, "the first round")
            assert train.poll() is None, train.communicate()[0]
            cookie = ("ray-authentication-token", cluster.environment["RAY_AUTH_TOKEN"])
            text = page_text(
                f"{cluster.dashboard}/#/actors",
                cookie,
                lambda text: all(name in text for name in NAMES),
            )
            assert [name for name in NAMES if name not in text] == [], text
        finally:
            train.terminate()
            train.communicate(timeout=60)
