"""The evaluator's records: from hand-made generators to scores, marks, faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raygan.config.loading import make_config
from raygan.data import common_shape, describe_domain
from raygan.evaluation.classifier import ClassifierRecipe
from raygan.evaluation.scores import usefulness
from raygan.nn.network import block_state, build_networks, network_spec
from raygan.parties.evaluator import Evaluator, EvaluatorPlan, ModelTask, model_tasks
from raygan.scores import SCORES, every_round, names
from raygan.wire.contract import checked
from raygan.wire.records import (
    BlockAverage,
    Lost,
)

BOTH = [ModelTask(0, "cluster-0", (0, 1))]


@pytest.fixture
def plan(tiny_settings: dict, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> EvaluatorPlan:
    config = make_config(tiny_settings)
    shape = common_shape(config.model, [describe_domain(domain, config.data) for domain in config.data.domains])
    spec = network_spec(config.model, shape.channels, shape.num_classes)
    cache = str(tmp_path_factory.getbasetemp() / "classifiers")
    return EvaluatorPlan(config.data, shape, spec, None, 0, 40, str(tmp_path), cache)


def generator(plan: EvaluatorPlan, bias: float = 0.0) -> list[BlockAverage]:
    blocks = build_networks(plan.spec, None, 0).generator
    states = [block_state(block) for block in blocks]
    name = next(name for name in states[-1] if name.endswith("bias"))
    states[-1] = {**states[-1], name: states[-1][name] + np.float32(bias)}
    return [BlockAverage(("generator", index), state) for index, state in enumerate(states)]


def test_clusters_are_scored_on_the_domains_of_their_members() -> None:
    tasks = model_tasks({0: 1, 1: 0, 2: 1, 3: 0}, {0: 0, 1: 1, 2: 2, 3: 1}, "cluster")
    assert [(task.cluster, task.domains) for task in tasks] == [(0, (1,)), (1, (0, 2))]
    assert [(task.name, task.words, task.file) for task in tasks] == [
        ("cluster-0", "cluster 0", None),
        ("cluster-1", "cluster 1", None),
    ]


def test_a_record_of_scores_pictures_and_marks(plan: EvaluatorPlan, tmp_path: Path) -> None:
    result = checked(Evaluator(plan).evaluate(3, BOTH, [generator(plan)]))
    assert [(s.domain_index, s.cluster, s.num_images) for s in result.scores] == [(0, 0, 40), (1, 0, 40)]
    assert [(s.domain_index, s.cluster, s.num_images) for s in result.real] == [(0, None, 24), (1, None, 24)]
    assert [s.values["label_agreement"] for s in result.real] == [1.0, 1.0]
    distances = [[score.values["classifier_fid"] for score in part] for part in (result.scores, result.real)]
    assert all(generated > real for generated, real in zip(*distances, strict=True))
    assert list(result.scores[0].values) == names(every_round())
    assert result.samples == ("round-0004-cluster-0.png",)
    assert (tmp_path / result.samples[0]).exists()
    assert (result.round, result.faults) == (3, ())


def test_the_same_round_scores_the_same_and_another_differs(plan: EvaluatorPlan) -> None:
    scores = [Evaluator(plan).evaluate(number, BOTH, [generator(plan)]).scores for number in (1, 1, 2)]
    assert scores[0] == scores[1]
    assert scores[0] != scores[2]


def test_sites_that_score_what_they_hold_are_one_evaluator_together(plan: EvaluatorPlan, tmp_path: Path) -> None:
    """One without any data draws, two score a domain each."""
    whole = Evaluator(plan).evaluate(1, BOTH, [generator(plan)])
    classes = (tuple(f"c{label}" for label in range(4)),) * 2
    (tmp_path / "others").mkdir()
    drawing = replace(plan, here=(), classes=classes, samples=str(tmp_path / "others"))
    evaluators = [
        Evaluator(drawing),
        *(Evaluator(replace(drawing, here=(index,), samples=None)) for index in range(2)),
    ]
    for evaluator in evaluators:
        evaluator.prepare()
    parts = [evaluator.evaluate(1, BOTH, [generator(plan)]) for evaluator in evaluators]
    merged = checked(evaluators[0].merge(parts))
    assert (merged.round, merged.scores, merged.real) == (whole.round, whole.scores, whole.real)
    assert merged.samples == whole.samples
    pictures = [folder / whole.samples[0] for folder in (tmp_path, tmp_path / "others")]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert isinstance(evaluators[0].merge([parts[0], Lost("dead")]), Lost)


def test_a_class_without_images_has_no_row(plan: EvaluatorPlan, tmp_path: Path) -> None:
    """Of four classes cluster 0 has two, cluster 1 three; rows are 60 pixels of 12 and a gap of 3 apart."""
    tasks = [ModelTask(0, "cluster-0", (0,)), ModelTask(1, "cluster-1", (0, 1))]
    counted = replace(plan, class_counts=((5, 0, 5, 0), (0, 9, 0, 0)))
    names = Evaluator(counted).evaluate(1, tasks, [generator(plan)] * 2).samples
    heights = [Image.open(tmp_path / name).height for name in names]
    assert heights[1] - heights[0] == 60 + 3


def test_usefulness_only_after_the_last_round(plan: EvaluatorPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = ClassifierRecipe(epochs=1, min_steps=5, width=4)
    monkeypatch.setattr(usefulness, "RECIPE", quick)
    scores = {SCORES["label_agreement"]: 40, SCORES["usefulness"]: 30}
    evaluator = Evaluator(replace(plan, last_round=2, scores=scores))
    first, last = (evaluator.evaluate(number, BOTH, [generator(plan)]).scores[0] for number in (1, 2))
    assert set(first.values) == {"label_agreement"}
    assert set(last.values) == {"label_agreement", "usefulness"}
    assert last.values["usefulness"]["images"] == 30
    assert 0 <= last.values["usefulness"]["accuracy"] <= 1


def test_a_generator_that_diverged_is_a_fault_and_others_are_scored(plan: EvaluatorPlan) -> None:
    tasks = [ModelTask(0, "cluster-0", (0,)), ModelTask(1, "cluster-1", (1,))]
    result = Evaluator(plan).evaluate(0, tasks, [generator(plan, np.nan), generator(plan)])
    assert [s.cluster for s in result.scores] == [1]
    assert result.samples == ("round-0001-cluster-1.png",)
    (fault,) = result.faults
    assert fault.startswith("round 1, cluster 0 is not scored: generator for domain0: gave values that are not")
