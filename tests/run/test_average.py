"""The moving average of G's weights through a round: who keeps what of it, how it is aggregated, and who reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.names import BlockKey
from raygan.run.plan import make_plan
from raygan.run.scoring import score_round
from raygan.run.stored import Run
from raygan.storage import read_arrays
from raygan.wire.records import State, StepId
from tests.checkpoint_files import checkpoint_states, client_states
from tests.federations import Started, in_process
from tests.rounds import rounds_of

HALF_LIFE, BATCH = 24, 8
DECAY = 0.5 ** (BATCH / HALF_LIFE)


@pytest.fixture(scope="module")
def averaged(tiny_settings: dict) -> dict:
    return tiny_settings | {"training": tiny_settings["training"] | {"average": {"half_life_images": HALF_LIFE}}}


@pytest.fixture(scope="module")
def run(averaged: dict, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(make_config(averaged), tmp_path_factory.mktemp("average") / "run", in_process=True)


def holders(started: Started) -> dict[str, State]:
    return {"body": started.body_state(), **{f"client {n}": state for n, state in started.states().items()}}


def test_body_and_clients_each_average_what_they_hold_in_every_step(averaged: dict) -> None:
    started = in_process(make_plan(make_config(averaged)))
    started.begin_round(0)
    sums: dict[str, dict[tuple[BlockKey, str], np.ndarray]] = {name: {} for name in holders(started)}
    mass = 0.0
    for step in range(3):
        started.reports(StepId(0, step))
        mass = DECAY * mass + 1 - DECAY
        for name, state in holders(started).items():
            for key, block in state.blocks.items():
                if key[0] == "generator":
                    for part, array in block.items():
                        before = sums[name].get((key, part), 0.0)
                        sums[name][key, part] = DECAY * before + (1 - DECAY) * array.astype(np.float64)
    for name, state in holders(started).items():
        averages = {key: block for key, block in state.blocks.items() if key[0] == "average"}
        assert {index for _, index in averages} == {key[1] for key in state.blocks if key[0] == "generator"}
        for (_, index), block in averages.items():
            assert float(block["mass"]) == pytest.approx(mass)
            for part, array in block.items():
                if part != "mass" and not part.endswith("num_batches_tracked"):
                    expected = sums[name][("generator", index), part.removeprefix("weights.")] / mass
                    np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-6, err_msg=f"{name} {index} {part}")
    started.close()


def test_training_does_not_see_it(tiny_settings: dict, run: Run, tmp_path: Path) -> None:
    without = train(make_config(tiny_settings), tmp_path / "run", in_process=True)
    plain, mine = (checkpoint_states(path / "checkpoints" / "round-0002") for path in (without.path, run.path))
    assert plain.keys() == {name for name in mine if "/average." not in name}
    assert all(mine[name].tobytes() == array.tobytes() for name, array in plain.items())


def test_it_is_aggregated_as_the_weights_are(run: Run) -> None:
    """Who was averaged has its cluster's average of what it holds; a block that all leave to the body is the body's."""
    folder = run.path / "checkpoints" / "round-0002"
    body = read_arrays(folder / "body.safetensors")
    for client, cluster in run.membership(2).items():
        model = read_arrays(folder / f"cluster-{cluster}.safetensors")
        mine = {n: a for n, a in client_states(folder)[client].items() if n.startswith("average.")}
        assert {name.split(".")[1] for name in model if name.startswith("average.")} == set("01234")
        assert "average.0.mass" in mine
        assert all(model[name].tobytes() == array.tobytes() for name, array in mine.items())
        anchor = [name for name in model if name.startswith("average.2.")]
        assert anchor
        assert all(np.allclose(model[name], body[name], rtol=1e-6) for name in anchor)
        assert not np.array_equal(model["average.0.weights.linear.weight"], model["generator.0.linear.weight"])


def images(run: Run, weights: str | None = None) -> np.ndarray:
    return run.generator(0, weights=weights).sample([0, 1, 2])


def test_samples_and_scores_take_it_and_the_last_weights_where_they_are_asked_for(
    averaged: dict, run: Run, tmp_path: Path
) -> None:
    settings = averaged | {"evaluation": averaged["evaluation"] | {"weights": "last"}}
    last = train(make_config(settings), tmp_path / "run", in_process=True)
    assert np.array_equal(images(run), images(last, "average"))
    assert np.array_equal(images(run, "last"), images(last))
    assert not np.array_equal(images(run), images(last))
    ends = [rounds_of(one.path)[-1]["scores"] for one in (run, last)]
    assert ends[0] != ends[1]
    for one, mine, other in ((run, *ends), (last, *reversed(ends))):
        assert json.loads(json.dumps(score_round(one, 2)["scores"])) == mine
        asked = "last" if one is run else "average"
        assert json.loads(json.dumps(score_round(one, 2, weights=asked)["scores"])) == other


def test_a_client_that_was_not_drawn_takes_over_the_average_with_its_mass(averaged: dict, tmp_path: Path) -> None:
    training = averaged["training"] | {"participation": 0.5, "rounds": 1}
    settings = averaged | {"training": training, "clusters": {"count": 1}}
    run = train(make_config(settings), tmp_path / "run", in_process=True)
    folder = run.path / "checkpoints" / "round-0001"
    model = read_arrays(folder / "cluster-0.safetensors")
    idle = sorted(set(range(6)) - set(run.membership(1)))
    assert idle
    for client in idle:
        mine = client_states(folder)[client]
        found = {name: array for name, array in mine.items() if name.startswith("average.")}
        assert float(found["average.0.mass"]) > 0
        assert all(model[name].tobytes() == array.tobytes() for name, array in found.items())
