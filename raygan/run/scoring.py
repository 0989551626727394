"""Scores of a run: what the evaluator is told, and scores recomputed from a kept round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from raygan.config.loading import from_home
from raygan.config.schema import Config
from raygan.data import CommonShape, DomainInfo, domain_names
from raygan.names import Weights
from raygan.nn.spec import NetworkSpec
from raygan.parties.evaluator import Evaluator, EvaluatorPlan, model_tasks
from raygan.run.metrics import domain_scores
from raygan.run.stored import Run
from raygan.scores import SCORES
from raygan.wire.records import BlockAverage


def evaluator_plan(
    config: Config,
    shape: CommonShape,
    spec: NetworkSpec,
    samples: str | None,
    infos: Sequence[DomainInfo] = (),
) -> EvaluatorPlan:
    """What the evaluator of a run needs to know.

    Args:
        samples: folder of the pictures; None: draw none.
        infos: of each domain; empty: the evaluator reads every domain, and learns its classes from it.
    """
    cache = config.evaluation.cache
    counts = {score: score.num_images(config.evaluation) for score in SCORES.values()}
    return EvaluatorPlan(
        data=config.data,
        shape=shape,
        spec=spec,
        blocks=config.model.blocks,
        seed=config.seed,
        num_images=config.evaluation.images,
        weights=config.evaluation.weights,
        samples=samples,
        cache=None if cache is None else str(from_home(cache)),
        last_round=config.training.rounds - 1,
        scores={score: count for score, count in counts.items() if count is not None},
        classes=tuple(info.classes for info in infos),
        class_counts=tuple(info.class_counts for info in infos),
        config=config,
    )


def score_round(
    run: Run,
    round_number: int | None = None,
    usefulness_images: int | None = None,
    weights: Weights | None = None,
) -> dict[str, Any]:
    """The scores of a kept round, computed in this process from its checkpoint: those of `metrics.jsonl`.

    Args:
        round_number: from 1; None: the last that was kept.
        usefulness_images: generated images for usefulness; None: as configured, for any round.
        weights: as for `Run.generator_states`.

    Returns:
        `round`, `scores` (by domain, as in `metrics.jsonl`) and `faults`.

    Raises:
        RunError: no whole checkpoint of that round.
        DataError: the run's data is not where it was.
    """
    number = run.kept_round(round_number)
    cluster, domains = run.membership(number), run.domain_of
    plan = replace(evaluator_plan(run.config, run.shape, run.spec, None, run.infos), last_round=None)
    if usefulness_images is not None:
        plan = replace(plan, scores={**(plan.scores or {}), SCORES["usefulness"]: usefulness_images})
    tasks = model_tasks(cluster, domains, run.model_kind)
    for task in tasks:
        run.generator(task.cluster, number, weights)  # what cannot be used is the user's to mend, no missing score
    states = [run.generator_states(number, task.cluster, weights) for task in tasks]
    blocks = [[BlockAverage(("generator", i), block) for i, block in of_one.items()] for of_one in states]
    result = Evaluator(plan).evaluate(number - 1, tasks, blocks)
    scores = domain_scores(result, cluster, domains, domain_names(run.config.data))
    return {"round": number, "scores": scores, "faults": list(result.faults)}
