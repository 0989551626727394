"""A step's deadline by hand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from raygan.config.loading import make_config
from raygan.config.schema import MedianDeadline
from raygan.errors import ConfigError
from raygan.runtime.steps import Deadline, Epochs, StepLoop, Submitted
from raygan.wire.records import BodyReport, Lost, StepId, StepReport

STEP = StepId(0, 0)


def worker(seconds: float) -> StepReport:
    return StepReport(STEP, {}, {}, 8, {"generate": seconds / 2, "discriminator_loss": seconds / 2}, 0, 0)


def body(seconds: float) -> BodyReport:
    return BodyReport(STEP, {}, (), seconds)


def test_none_and_a_fixed_deadline_do_not_change() -> None:
    for setting in (None, 2.5):
        deadline = Deadline(setting)
        deadline.note(body(100.0), [worker(1.0)])
        assert deadline.seconds == setting


def test_a_straggler_does_not_lengthen_the_deadline_that_is_meant_for_it() -> None:
    """Roster of 1, 1 and 10 s in a step of 12 s: with a median client it would take 12 - (10 - 1) = 3 s."""
    deadline = Deadline(MedianDeadline(median=2))
    assert deadline.seconds is None
    deadline.note(body(12.0), [worker(1.0), worker(10.0), worker(1.0)])
    assert deadline.seconds == pytest.approx(6.0)


def test_without_a_server_a_step_is_its_workers_work() -> None:
    deadline = Deadline(MedianDeadline(median=2))
    deadline.note(None, [worker(1.0), worker(10.0), worker(1.5)])
    assert deadline.seconds == pytest.approx(3.0)


class Clock:
    """A backend whose references are reports, each there once its work is done."""

    def fetch(self, references: Sequence[StepReport], timeout_s: float | None = None) -> list[StepReport | Lost]:
        done = [timeout_s is None or sum(report.seconds.values()) <= timeout_s for report in references]
        late = Lost("late", "late")
        return [report if there else late for report, there in zip(references, done, strict=True)]

    def begin_step(self, step: StepId, seconds: float) -> None: ...


def test_a_straggler_sits_out_the_round_where_no_server_takes_part() -> None:
    """Two workers take a second, one takes ten: it is waited for once, and is late three seconds into the next step."""
    epochs, asked = Epochs(), list[tuple[int, ...]]()

    def submit(step: StepId, without: Collection[int]) -> Submitted:
        asked.append(tuple(number for number in range(3) if number not in without))
        return Submitted(step, {number: worker(10.0 if number == 2 else 1.0) for number in asked[-1]})  # type: ignore[misc]

    loop = StepLoop(Clock(), lambda *_: None, Deadline(MedianDeadline(median=3)), 1)  # type: ignore[arg-type]
    loop.run(0, range(4), (), submit, epochs)
    assert asked == [(0, 1, 2), (0, 1, 2), (0, 1), (0, 1)]
    assert epochs.late == {2}
    assert len(epochs.reports) == 3 + 2 + 2 + 2


def test_it_follows_the_median_step() -> None:
    deadline = Deadline(MedianDeadline(median=3))
    for seconds in (1.0, 2.0, 50.0):
        deadline.note(body(seconds), [worker(0.5), worker(0.5)])
    assert deadline.seconds == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"median": 1}, "ray.step_deadline_s.median: 1 does not fit; give greater than 1"),
        ({"mean": 3}, "ray.step_deadline_s"),
        (0, "ray.step_deadline_s: 0 does not fit"),
        ("soon", "ray.step_deadline_s: 'soon' does not fit"),
    ],
)
def test_what_is_no_deadline_is_refused(tiny_settings: dict, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_config(tiny_settings | {"ray": tiny_settings["ray"] | {"step_deadline_s": value}})
    assert message in str(refused.value)
