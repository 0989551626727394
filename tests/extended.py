"""Runs the examples of `raygan/docs/extend.md` in a copy of the package that has them.

`python extended.py CONFIG JOBS OUT` beside that package: JOBS is JSON, example -> its overrides. It prints, as JSON, what
each example gives for inputs so small that a person can work the answer out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import raygan
from raygan.config.loading import read_config
from raygan.evaluation.scores.state import Batch
from raygan.run.scoring import score_round
from raygan.wire.records import State

Run = raygan.Run


def loss(run: Run) -> Any:
    """D's and G's loss for fakes -2 and 0.5, reals 2 and 0."""
    from raygan.nn.losses import gan_loss

    of = gan_loss(run.config.training.loss)
    fakes, reals = torch.tensor([-2.0, 0.5]), torch.tensor([2.0, 0.0])
    return [of.discriminator(fakes, reals).item(), of.generator(fakes).item()]


def score(run: Run) -> Any:
    """Three images of two classes, in two parts; then the run's, again."""
    from raygan.evaluation.scores.certainty import Certainty

    reference: Any = None
    first, second = (Certainty(reference, 0) for _ in range(2))
    first.update(Batch(torch.tensor([0, 1]), probabilities=np.array([[0.5, 0.5], [1.0, 0.0]])))
    second.update(Batch(torch.tensor([0]), probabilities=np.array([[0.25, 0.75]])))
    first.merge(second)
    return {"by_hand": first.compute(), "again": score_round(run)["scores"]}


def aggregation(run: Run) -> Any:
    """Members 1, 12 and 2, and one without weight; then a block that only one of three holds, the body's is 9."""
    from raygan.config.choices import AGGREGATIONS, chosen

    def state(value: float, *, both: bool = False) -> State:
        block = {"w": np.array([value], np.float32), "count": np.array(int(value))}
        return State(1, {("generator", 0): block} | ({("generator", 1): block} if both else {}))

    body = State(0, {("generator", 1): state(9.0).blocks["generator", 0]})
    averager = chosen(AGGREGATIONS, run.config.clusters.aggregation)(body)
    for value, weight in ((1.0, 0.1), (12.0, 0.8), (2.0, 0.1), (5.0, 0.0)):
        averager.add(state(value, both=value == 12.0), weight)
    return [
        [float(block["w"][0]), int(block["count"]), str(block["w"].dtype), str(block["count"].dtype)]
        for _, block in sorted(averager.average().items())
    ]


def clustering(run: Run) -> Any:
    """Three pairs at the corners of a triangle, `auto` and two; then a single client."""
    from raygan.config.choices import CLUSTERINGS, chosen

    rule = chosen(CLUSTERINGS, run.config.clusters.clustering)
    points = np.array([[0, 0], [0, 0.1], [0, 10], [0, 10.1], [8.7, 5], [8.7, 5.1]])
    asked: dict[str, tuple[Any, Any]] = {
        "auto": (points, "auto"),
        "two": (points, 2),
        "one": (points[:1], "auto"),
    }
    return {name: rule(features, count, 0).tolist() for name, (features, count) in asked.items()}


def network(run: Run) -> Any:
    """Shape of a sample, and how many blocks the generator has."""
    images = run.generators()[0].sample([0, 1, 2])
    return [list(images.shape), len(run.generator_states(run.kept_round(None), 0))]


def algorithm(run: Run) -> Any:
    """Models and clients in the last checkpoint, and how many of the clients have the first model's networks."""
    from safetensors.numpy import load_file

    folder = run.path / "checkpoints" / "round-0002"
    models = sorted(folder.glob("model-*.safetensors"))
    model = load_file(models[0])
    held = {name: a for file in folder.glob("clients-*.safetensors") for name, a in load_file(file).items()}
    clients = {name.partition("/")[0] for name in held}
    alike = [all(np.array_equal(held[f"{client}/{name}"], a) for name, a in model.items()) for client in clients]
    return [len(models), len(clients), sum(alike)]


CHECKS: dict[str, Callable[[Run], Any]] = {
    "A loss": loss,
    "A score": score,
    "An aggregation rule": aggregation,
    "A clustering rule": clustering,
    "A network": network,
    "An algorithm": algorithm,
}


def main(config: str, jobs: str, out: str) -> None:
    """Trains with each example, and asks it what its check asks."""
    assert Path(raygan.__file__).parents[1] == Path(__file__).parent, "this is not the copy"
    answers = {}
    for title, overrides in json.loads(jobs).items():
        folder = Path(out) / title.replace(" ", "-")
        answers[title] = CHECKS[title](raygan.train(read_config(config, overrides), folder, in_process=True))
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
