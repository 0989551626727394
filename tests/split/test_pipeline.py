"""A body in sections: the numbers of a whole one, to the last bit, in every way that a run can take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.algorithms.huscf import split_plan
from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.errors import ConfigError, PeerLostError
from raygan.run.plan import make_plan
from raygan.split.layout import Layout
from raygan.split.pipeline import BodySection, choose_borders, in_a_row
from raygan.split.plan import SplitPlan
from raygan.wire.records import BodyReport, Gradients, Lost, StepId
from raygan.wire.statistics import Mean
from tests.rounds import rounds_of
from tests.run.test_resume import Interrupt, arrays_of_round

NOBODY = Lost("set aside", "late")
ROUNDS = 3
RUNS = {
    "cuts of three kinds": {},
    "one cut for all": {"cuts": {"solver": "fixed", "bodies": "shared"}},
    "a body a cluster": {"cuts": {"bodies": "clusters"}},
    "half of the clients": {"training": {"participation": 0.5}},
    "other networks": {"model": {"networks": "residual", "image_size": 16}, "cuts": {"solver": "fixed"}},
}


def settings_of(tiny: dict[str, Any], sections: int, more: dict[str, Any]) -> dict[str, Any]:
    """A run whose body has so many sections, with a moving average of G's weights."""
    base = tiny | {"training": tiny["training"] | {"rounds": ROUNDS, "average": {}}}
    for name, values in more.items():
        base[name] = values if "solver" in values else base[name] | values
    return base | {"ray": tiny["ray"] | {"body_pipeline": sections}}


def plan_of(tiny: dict[str, Any], sections: int, **more: Any) -> SplitPlan:
    return split_plan(make_plan(make_config(settings_of(tiny, sections, more))).algorithm)


def arrays(path: Path) -> dict[str, bytes]:
    """Of the last round, whichever files the body's are in."""
    found = {re.sub("^body-[0-9]+/", "body/", name): array for name, array in arrays_of_round(path, ROUNDS).items()}
    assert len(found) == len(arrays_of_round(path, ROUNDS)), "no block is in two sections"
    return found


@pytest.mark.parametrize("more", RUNS.values(), ids=RUNS.keys())
def test_sections_have_the_numbers_of_a_whole_body(
    tiny_settings: dict[str, Any], more: dict[str, Any], tmp_path: Path
) -> None:
    whole, parted = (
        train(make_config(settings_of(tiny_settings, sections, more)), tmp_path / str(sections), in_process=True)
        for sections in (1, 2)
    )
    assert arrays(parted.path) == arrays(whole.path)
    folder = parted.path / "checkpoints" / f"round-{ROUNDS:04d}"
    assert sorted(file.name for file in folder.glob("body*")) == ["body-1.safetensors", "body.safetensors"]
    told = [[line["body_generator_gradient_norm"] for line in run.records["statistics"]] for run in (parted, whole)]
    np.testing.assert_allclose(*told, rtol=1e-5)
    between = parted.records["links"][0]["body -> body"]
    assert between["Activations"]["bytes"] == between["Gradients"]["bytes"] > 0, "float32 both ways, of as many rows"


def test_a_run_goes_on_in_other_sections(tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    """From two to three, and on to a whole body: the numbers of a run that had one all the time."""
    calm = train(make_config(settings_of(tiny_settings, 1, {})), tmp_path / "calm", in_process=True)
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(make_config(settings_of(tiny_settings, 2, {})), path, in_process=True, listener=Interrupt(1, 1))
    with pytest.raises(KeyboardInterrupt):
        resume(path, changes=["ray.body_pipeline=3"], in_process=True, listener=Interrupt(2, 1))
    assert resume(path, changes=["ray.body_pipeline=1"], in_process=True).ended
    assert arrays(path) == arrays(calm.path)
    assert len(rounds_of(path)) == ROUNDS


def test_a_stage_is_in_one_section(tiny_settings: dict[str, Any]) -> None:
    layout: Layout = plan_of(tiny_settings, 3, cuts={"solver": "fixed"}).layout
    assert layout.sections == 3
    for network, stages in layout.stages.items():
        assert [layout.section_of(network, stage.blocks.start) for stage in stages] == [0, 1, 2]
        assert [bool(stage.entering) for stage in stages] == [True, False, False]
        assert [bool(stage.leaving) for stage in stages] == [False, False, True]
    held = [set(layout.held_by(section)) for section in range(3)]
    assert set.union(*held) == set(layout.body_held)
    assert sum(map(len, held)) == len(layout.body_held)
    assert all(("average", block) in of for of in held for name, block in of if name == "generator")


def test_borders_are_where_the_largest_section_is_smallest() -> None:
    flops = {"generator": {1: 4.0, 2: 4.0, 3: 5.0, 4: 1.0}, "discriminator": {2: 1.0, 3: 1.0, 4: 7.0}}
    assert choose_borders(flops, 1) == {}
    assert choose_borders(flops, 2) == {"generator": (3,), "discriminator": (4,)}
    assert choose_borders(flops, 3) == {"generator": (2, 3), "discriminator": (3, 4)}


def test_reports_of_a_row_add_up() -> None:
    step = StepId(0, 1)
    one = BodyReport(step, {"generate forward": 1.0}, (2,), 4.0, {"norm": Mean(3.0, 1)})
    other = BodyReport(step, {"generate forward": 2.0, "adversarial forward": 1.0}, (0, 2), 5.0, {"norm": Mean(4.0, 1)})
    assert in_a_row([one, other]) == BodyReport(
        step, {"generate forward": 3.0, "adversarial forward": 1.0}, (0, 2), 5.0, {"norm": Mean(5.0, 1)}
    )


def test_a_section_whose_neighbour_is_gone_is_so_in_the_whole_pass(tiny_settings: dict[str, Any]) -> None:
    """In the next one as well, where it is told again; forward through the stages that need nobody, it works."""
    plan = plan_of(tiny_settings, 2)
    first, second = (BodySection(plan.layout, plan.config, section=section) for section in (0, 1))
    for body in (first, second):
        body.begin_round(0)
    late = dict.fromkeys(range(3), NOBODY)
    step = StepId(0, 0)
    own = [n for n, stage in enumerate(plan.layout.stages["discriminator"]) if stage.blocks.start >= 2]
    with pytest.raises(PeerLostError, match="is gone"):
        second.forward_part(step, "discriminate", own[0], 0, Lost("died"), late)
    with pytest.raises(PeerLostError, match="is gone"):
        second.forward_part(step, "discriminate", own[0], 1, None, {})
    with pytest.raises(PeerLostError, match="is gone"):
        second.backward_part(step, "discriminate", own[-1], 0, None, late)
    (handed_on,) = first.forward_part(step, "discriminate", 0, 0, None, late)
    assert handed_on.arrays == {}
    first.forward_part(step, "discriminate", 0, 1, None, {})
    with pytest.raises(PeerLostError, match="is gone"):
        first.backward_part(step, "discriminate", 0, 0, Lost("died"), {})
    with pytest.raises(PeerLostError, match="is gone"):
        first.backward_part(step, "discriminate", 0, 1, Gradients(step, {}), {})


@pytest.mark.parametrize(
    ("ray", "told"),
    [
        ({"body_pipeline": 4}, "ray.body_pipeline: 4, but the body has 3 blocks of the generator; give at most 3"),
        (
            {"body_pipeline": 2, "body_replicas": 2},
            "ray.body_pipeline: 2, beside ray.body_replicas: 2; set one of them",
        ),
    ],
    ids=str,
)
def test_more_sections_than_blocks_and_replicas_of_them_are_refused(
    tiny_settings: dict[str, Any], ray: dict[str, int], told: str
) -> None:
    alone = {"clients_per_actor": 1}
    with pytest.raises(ConfigError, match=told):
        make_plan(make_config(tiny_settings | {"ray": tiny_settings["ray"] | alone | ray}))
