"""A run goes on only with what it began with: what contradicts itself is refused, and nothing is touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.data import DomainInfo
from raygan.errors import DataError, InputError
from raygan.run.going_on import check_data
from tests.rounds import assert_same_training, forget_configuration
from tests.run.test_resume import Interrupt, arrays_of_round


@pytest.fixture(scope="module")
def settings(two_clients: dict[str, Any]) -> dict[str, Any]:
    return two_clients | {"checkpoints": {"keep": 1, "networks": False}}


@pytest.fixture(scope="module")
def ended(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of six rounds, all done."""
    return train(make_config(with_rounds(settings, 6)), tmp_path_factory.mktemp("ended") / "run", in_process=True).path


@pytest.fixture
def run(ended: Path, tmp_path: Path) -> Path:
    """The same without its end."""
    path = Path(shutil.copytree(ended, tmp_path / "run"))
    (path / "summary.json").unlink()
    return path


def with_rounds(settings: dict[str, Any], rounds: int) -> dict[str, Any]:
    return settings | {"training": settings["training"] | {"rounds": rounds}}


def content(path: Path) -> dict[str, bytes]:
    """Every file of a run."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def assert_refused(path: Path, message: str, *changes: str) -> None:
    before = content(path)
    with pytest.raises(InputError) as refused:
        resume(path, changes=changes, in_process=True)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert content(path) == before


def without_checkpoints(path: Path) -> None:
    shutil.rmtree(path / "checkpoints")


def without_whole_checkpoint(path: Path) -> None:
    for file in path.glob("checkpoints/*/body.safetensors"):
        file.unlink()


def without_metrics(path: Path) -> None:
    (path / "metrics.jsonl").unlink()


def without_most_metrics(path: Path) -> None:
    first, *_ = (path / "metrics.jsonl").read_text().splitlines()
    (path / "metrics.jsonl").write_text(f"{first}\n")


def without_clusters(path: Path) -> None:
    (path / "clusters.jsonl").unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_checkpoints, "checkpoints: has none of the 6 rounds in metrics.jsonl; put it back"),
        (
            without_whole_checkpoint,
            "checkpoints: the checkpoint of round 6 cannot be used: body.safetensors is missing",
        ),
        (without_metrics, "metrics.jsonl: has whole lines of 0 rounds, but there is a checkpoint of round 6"),
        (without_most_metrics, "metrics.jsonl: has whole lines of 1 rounds, but there is a checkpoint of round 6"),
        (without_clusters, "clusters.jsonl: has no line, but metrics.jsonl has 6"),
    ],
)
def test_files_that_are_gone_are_missed(run: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(run)
    assert_refused(run, message)


def test_an_ended_run_has_the_lines_of_its_summary(ended: Path, tmp_path: Path) -> None:
    """Of short runs as well, whose checkpoints might be a few rounds ahead of their lines."""
    path = Path(shutil.copytree(ended, tmp_path / "run"))
    without_metrics(path)
    for checkpoint in sorted(path.glob("checkpoints/round-*"))[2:]:
        shutil.rmtree(checkpoint)
    message = "metrics.jsonl: has no whole line, but the run has ended after 6 rounds (summary.json)"
    assert_refused(path, message, "training.rounds=8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed=7", "config.yaml: differs from what round 6 was trained with: seed 7 instead of 0; put it back"),
        ("training.lr=1.0e-3", "training.lr 0.001 instead of 0.0005"),
        ("wire.codec=int8", "wire.codec 'int8' instead of 'float32'"),
        ("devices.profiles.small.flops_per_s=5", "devices.profiles.small.flops_per_s 5.0 instead of"),
        ("data.domains.0.clients=2", "training.rounds: 6, and all are done: there is no round that clients could join"),
        ("data.domains.0.limit=20", "data.domains.0.limit 20 instead of 32"),
        ("training.rounds=3", "training.rounds: 3, but 6 rounds are done; give at least 6"),
    ],
)
@pytest.mark.parametrize("by", ["--set", "an edited file"])
def test_a_changed_key_is_named(run: Path, change: str, message: str, by: str) -> None:
    if by == "--set":
        assert_refused(run, message, change)
    else:
        key, _, value = change.partition("=")
        edit(run, lambda written: set_in(written, key, yaml.safe_load(value)))
        assert_refused(run, message)


def set_in(written: Any, key: str, value: Any) -> None:
    head, _, rest = key.partition(".")
    place: Any = int(head) if isinstance(written, list) else head
    if rest:
        set_in(written[place], rest, value)
    else:
        written[place] = value


def edit(run: Path, change: Callable[[Any], None]) -> None:
    written = yaml.safe_load((run / "config.yaml").read_text())
    change(written)
    (run / "config.yaml").write_text(yaml.safe_dump(written, sort_keys=False))


def test_swapped_domains_are_other_data(run: Path) -> None:
    def swap(written: Any) -> None:
        first, second = written["data"]["domains"]
        first["npz"], second["npz"] = second["npz"], first["npz"]

    edit(run, swap)
    assert_refused(run, "data.domains[0]: is not what the run began with: other images")


def test_a_domain_less_is_another_run() -> None:
    info = DomainInfo(10, 10, (28, 28), 1, ("a",), (10,))
    check_data([info, info], [info, info])
    with pytest.raises(DataError, match=r"data\.domains: 1 domains, but the run began with 2; put config\.yaml back"):
        check_data([info, info], [info])


def test_data_that_was_replaced_is_other_data(run: Path) -> None:
    infos = json.loads((run / "domains.json").read_text())
    infos[1]["digest"] = "0" * 64
    (run / "domains.json").write_text(json.dumps(infos))
    assert_refused(run, "data.domains[1]: is not what the run began with: other images")


def test_data_that_has_moved_is_found_where_it_is_now(settings: dict[str, Any], run: Path, tmp_path: Path) -> None:
    moved = shutil.copy(settings["data"]["domains"][0]["npz"], tmp_path / "moved.npz")
    found = resume(run, changes=[f"data.domains.0.npz={moved}", "training.rounds=7"], in_process=True)
    assert found.config.data.domains[0].npz == str(moved)
    assert len(found.metrics) == 7


def test_an_ended_run_that_is_given_more_rounds_is_one_that_had_them_from_the_start(
    settings: dict[str, Any], ended: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(ended, tmp_path / "run"))
    longer = train(make_config(with_rounds(settings, 8)), tmp_path / "longer", in_process=True)
    found = resume(path, changes=["training.rounds=8", "checkpoints.keep=2"], in_process=True)
    assert found.summary["rounds"] == 8
    assert found.config.training.rounds == 8
    assert found.config.checkpoints.keep == 2
    assert_same_training(path, longer.path)


def test_an_ended_run_is_left_alone_whatever_else_may_change(ended: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(ended, tmp_path / "run"))
    before = content(path)
    assert resume(path, changes=["evaluation.images=16"], in_process=True).ended
    assert content(path) == before


def test_a_run_that_plans_by_its_rounds_cannot_be_given_more(settings: dict[str, Any], tmp_path: Path) -> None:
    """PFL-GAN shares generators after half of them."""
    alike = {key: value for key, value in settings.items() if key not in ("cuts", "clusters")}
    path = train(make_config(alike | {"algorithm": "pfl_gan"}), tmp_path / "run", in_process=True).path
    assert_refused(path, "training.rounds: 5 instead of 3, by which algorithm pfl_gan has planned", "training.rounds=5")


def test_all_that_a_round_draws_and_follows_is_the_same_after_an_interruption(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """Transforms, fakes' labels and learning rates; these go by the number of rounds, so there cannot be more of them."""
    drawn = {"augment": ["translation", "cutout"], "fake_labels": "even", "loss": "relativistic"}
    training = settings["training"] | drawn | {"rounds": 3, "lr_schedule": "cosine"}
    config = make_config(settings | {"training": training})
    path, whole = tmp_path / "run", train(config, tmp_path / "whole", in_process=True).path
    with pytest.raises(KeyboardInterrupt):
        train(config, path, in_process=True, listener=Interrupt(2, 1))
    assert_refused(path, "5 instead of 3, by which training.lr_schedule cosine goes; put it back", "training.rounds=5")
    resume(path, in_process=True)
    assert arrays_of_round(path, 3) == arrays_of_round(whole, 3)


def test_a_run_of_before_has_checkpoints_that_do_not_know_their_configuration(run: Path) -> None:
    forget_configuration(run)
    infos = json.loads((run / "domains.json").read_text())
    (run / "domains.json").write_text(json.dumps([{k: v for k, v in i.items() if k != "digest"} for i in infos]))
    assert len(resume(run, changes=["training.rounds=7"], in_process=True).metrics) == 7


def test_a_run_killed_before_its_first_line_begins_again(settings: dict[str, Any], tmp_path: Path) -> None:
    """Its checkpoint is ahead of what was written of it."""
    with pytest.raises(KeyboardInterrupt):
        train(make_config(settings), tmp_path / "run", in_process=True, listener=Interrupt(1, 0))
    (tmp_path / "run" / "metrics.jsonl").unlink(missing_ok=True)
    (tmp_path / "run" / "clusters.jsonl").unlink(missing_ok=True)
    assert len(resume(tmp_path / "run", in_process=True).metrics) == 3
