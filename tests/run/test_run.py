from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import raygan
from raygan.config.loading import make_config
from raygan.errors import RunError


@pytest.fixture(scope="module")
def run(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> raygan.Run:
    path = tmp_path_factory.mktemp("run") / "run"
    raygan.train(make_config(tiny_settings), path, in_process=True)
    return raygan.Run.load(path)


def test_metrics_have_a_row_a_round(run: raygan.Run) -> None:
    assert run.metrics["round"].tolist() == [1, 2]
    assert run.metrics["clusters"].tolist() == [1, 2]
    assert run.metrics["images"].tolist() == [6 * 32, 6 * 32]
    assert (run.metrics["bytes_up"] > 0).all()
    assert run.metrics["domain0/label_agreement"].between(0, 1).all()
    assert run.metrics["domain1/generation_score"].between(1, 4).all()


def test_records_are_the_rounds_as_they_were_written(run: raygan.Run) -> None:
    for scores in run.records["scores"]:
        assert set(scores) == {"domain0", "domain1"}
        assert 0 <= scores["domain0"]["label_agreement"] <= 1


def test_clusters_have_a_row_a_client_and_round(run: raygan.Run) -> None:
    assert run.clusters.groupby("round").size().tolist() == [6, 6]
    sums = run.clusters.groupby(["round", "cluster"])["weight"].sum()
    assert sums.tolist() == pytest.approx([1.0] * len(sums))
    assert run.clusters.groupby("round")["body_weight"].sum().tolist() == pytest.approx([1.0, 1.0])


def test_bytes_are_those_of_the_cuts(run: raygan.Run, tiny_settings: dict) -> None:
    """Up: G head, D head on fakes and reals, their D tails' gradients, D head again, its gradient, G tail's."""
    from raygan.run.plan import make_plan

    plan = make_plan(run.config)
    generator, discriminator = (task.output_bytes for task in _costs(plan))
    expected = 0.0
    for client in plan.layout.clients:
        (gh, gt), (dh, dt) = client.generator_cut, client.discriminator_cut
        expected += generator[gh] + generator[len(generator) - 2 - gt]
        expected += 3 * (discriminator[dh] + discriminator[len(discriminator) - 2 - dt])
    num_steps = 32 // 8
    assert run.metrics["bytes_up"].tolist() == [expected * num_steps] * 2
    assert run.metrics["bytes_down"].tolist() == [expected * num_steps] * 2


def _costs(plan):
    from raygan.nn.network import build_networks
    from raygan.split.planning import measure

    costs = measure(plan.config, build_networks(plan.layout.spec, None, 0), plan.layout.spec)
    return costs.generator, costs.discriminator


def test_generators_sample_by_label_and_seed(run: raygan.Run) -> None:
    generators = run.generators()
    assert set(generators) == {0, 1}
    images = generators[0].sample([0, 1, 2])
    assert (images.shape, images.dtype) == ((3, 1, 12, 12), np.float32)
    assert np.abs(images).max() <= 1
    assert np.array_equal(images, generators[0].sample([0, 1, 2]))
    assert not np.array_equal(images, generators[0].sample([0, 1, 2], seed=1))
    assert not np.array_equal(images, generators[1].sample([0, 1, 2]))


def test_every_round_keeps_its_generators(run: raygan.Run) -> None:
    assert run.rounds == [1, 2]
    assert set(run.generators(1)) == {0}


def test_what_is_not_there_is_refused(run: raygan.Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no round 7; choose one of: 1, 2"):
        run.generators(7)
    with pytest.raises(RunError, match="labels from 0 to 9; give labels from 0 to 3"):
        run.generators()[0].sample([0, 9])
    for labels, seed, words in (
        ([9], 0, "label 9; give labels from 0 to 3"),
        ([1.5], 0, "float64 numbers; give whole numbers"),
        (3, 0, r"numbers of shape \(\); give a list of labels"),
        ([0], 1.5, "seed: 1.5; give a whole number"),
    ):
        with pytest.raises(RunError, match=words):
            run.generators()[0].sample(labels, seed=seed)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=r"no config.yaml, so this is not a run's folder"):
        raygan.Run.load(tmp_path)


def test_a_grid_per_cluster_and_round(run: raygan.Run) -> None:
    names = [path.name for path in run.samples]
    assert names == ["round-0001-cluster-0.png", "round-0002-cluster-0.png", "round-0002-cluster-1.png"]
    with Image.open(run.samples[0]) as picture:
        assert min(picture.size) > 100


def test_the_folder_holds_the_resolved_configuration_and_json_without_nan(run: raygan.Run) -> None:
    assert raygan.Run.load(run.path).config == run.config
    assert run.config.training.batch_size == 8

    def refuse(name: str) -> None:
        pytest.fail(f"{name} is not JSON")

    for file in run.path.rglob("*.json*"):
        for line in file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]:
            json.loads(line, parse_constant=refuse)


def test_no_pickle_is_in_the_folder(run: raygan.Run) -> None:
    kinds = {path.suffix for path in run.path.rglob("*") if path.is_file()}
    assert kinds <= {".yaml", ".json", ".jsonl", ".png", ".safetensors", ".html"}
