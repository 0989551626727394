"""What is kept, what is found out about damage, and what a manifest cannot do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raygan.algorithms.base import ServerState
from raygan.config.schema import CheckpointConfig, Config
from raygan.errors import RunError
from raygan.run.checkpoints import Checkpoint, Checkpoints, mean_score
from raygan.storage import write_bytes

STATE = ServerState(serves={0: 0, 2: 1, 5: 0, 11: 0}, num_models=3)
FILES = ("body.safetensors", "clients-0000.safetensors", "cluster-0.safetensors")


def make(folder: Path, *rounds: int) -> None:
    """Checkpoints of these rounds (from 1)."""
    for number in rounds:
        checkpoint = Checkpoint(folder, number - 1)
        draft = Path(checkpoint.begin())
        written = [write_bytes(draft / name, f"{name} of {number}".encode()) for name in FILES]
        checkpoint.finish(written, {0: 0, 11: 0, 2: 1}, [5], STATE, Config())


def lines(*scores: float | None) -> list[dict]:
    """Lines of `metrics.jsonl`: each round's label agreement."""
    return [{"round": n, "scores": {"a": {"label_agreement": s}}} for n, s in enumerate(scores, start=1)]


def state(folder: Path) -> dict[int, bool]:
    """Round -> whether it is whole."""
    return {c.round + 1: c.manifest().whole for c in Checkpoints(folder, CheckpointConfig()).stored()}


def test_a_finished_checkpoint_is_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    make(tmp_path, 1)
    checkpoint = Checkpoint(tmp_path, 0)
    assert checkpoint.damage() is None
    assert checkpoint.manifest().clusters == {0: 0, 11: 0, 2: 1}
    assert checkpoint.manifest().set_aside == (5,)
    assert checkpoint.manifest().server_state(ServerState(), range(12)) == STATE
    assert [path.name for path in tmp_path.iterdir()] == ["round-0001"]


def test_the_last_and_the_best_stay_whole_and_the_others_keep_their_networks(tmp_path: Path) -> None:
    make(tmp_path, 1, 2, 3, 4, 5)
    config = CheckpointConfig(keep=2)
    Checkpoints(tmp_path, config).prune(lines(0.2, 0.9, 0.3, 0.4, 0.5))
    assert state(tmp_path) == {1: False, 2: True, 3: False, 4: True, 5: True}
    assert sorted(path.name for path in (tmp_path / "round-0001").iterdir()) == [
        "cluster-0.safetensors",
        "manifest.json",
    ]
    assert Checkpoint(tmp_path, 0).damage() is None
    assert Checkpoints(tmp_path, config).last_whole(3) == 2, "no run goes on from a thinned checkpoint"


def test_without_networks_the_others_go(tmp_path: Path) -> None:
    make(tmp_path, 1, 2, 3)
    Checkpoints(tmp_path, CheckpointConfig(keep=1, best=None, networks=False)).prune(lines(0.9, 0.2, 0.3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["round-0003"]


def test_a_round_without_metrics_yet_is_not_touched(tmp_path: Path) -> None:
    """A run that is resumed goes back to the last round with metrics."""
    make(tmp_path, 1, 2, 3, 4)
    Checkpoints(tmp_path, CheckpointConfig(keep=1, best=None)).prune(lines(0.1, 0.2))
    assert state(tmp_path) == {1: False, 2: True, 3: True, 4: True}


def test_all_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    make(tmp_path, 1, 2)
    Checkpoints(tmp_path, CheckpointConfig(keep=None)).prune(lines(0.1, 0.2))
    assert state(tmp_path) == {1: True, 2: True}


def test_the_lowest_fid_is_the_best(tmp_path: Path) -> None:
    make(tmp_path, 1, 2, 3)
    scores = [{"round": n, "scores": {"a": {"classifier_fid": f}}} for n, f in ((1, 3.0), (2, 1.0), (3, 2.0))]
    Checkpoints(tmp_path, CheckpointConfig(keep=1, best="classifier_fid")).prune(scores)
    assert state(tmp_path) == {1: False, 2: True, 3: True}


def test_a_score_is_the_mean_over_domains_and_none_where_one_is_missing() -> None:
    def line(*values: float | None) -> dict:
        return {"scores": {str(n): {"label_agreement": value} for n, value in enumerate(values)}}

    assert mean_score(line(0.25, 0.75), "label_agreement") == 0.5
    assert mean_score(line(0.25, None), "label_agreement") is None
    assert mean_score({"scores": {}}, "label_agreement") is None


@pytest.mark.parametrize(("every", "due"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3, 4]), (7, [4])])
def test_every_nth_round_and_the_last(tmp_path: Path, every: int, due: list[int]) -> None:
    checkpoints = Checkpoints(tmp_path, CheckpointConfig(every=every))
    assert [number for number in range(5) if checkpoints.due(number, 5)] == due


def _truncate(folder: Path) -> None:
    (folder / FILES[0]).write_bytes(b"body")


def _alter(folder: Path) -> None:
    content = bytearray((folder / FILES[1]).read_bytes())
    content[3] ^= 1
    (folder / FILES[1]).write_bytes(bytes(content))


def _link(folder: Path) -> None:
    other = folder.parent / "elsewhere"
    (folder / FILES[0]).rename(other)
    (folder / FILES[0]).symlink_to(other)


def _manifest(change) -> object:
    def alter(folder: Path) -> None:
        file = folder / "manifest.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return alter


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (_truncate, "body.safetensors is damaged"),
        (_alter, "clients-0000.safetensors is damaged"),
        (lambda folder: (folder / FILES[2]).unlink(), "cluster-0.safetensors is missing"),
        (_link, "body.safetensors is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json: cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text('{"round": 1, "fi'), "cannot be read"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"), "cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "was altered or damaged"),
        (_manifest(lambda content: content.update(round=3)), "was altered or damaged"),
        (_manifest(lambda content: content["files"].pop(FILES[0])), "was altered or damaged"),
        (_manifest(lambda content: content.pop("digest")), "was altered or damaged"),
    ],
)
def test_damage_is_found_and_the_round_before_is_used(tmp_path: Path, damage, found: str) -> None:
    make(tmp_path, 1, 2)
    damage(tmp_path / "round-0002")
    assert found in str(Checkpoint(tmp_path, 1).damage())
    told: list[str] = []
    assert Checkpoints(tmp_path, CheckpointConfig()).last_whole(2, told.append) == 1
    assert len(told) == 1
    assert told[0].startswith("the checkpoint of round 2 cannot be used: ")


def test_a_checkpoint_of_another_round_is_refused(tmp_path: Path) -> None:
    make(tmp_path, 1)
    (tmp_path / "round-0001").rename(tmp_path / "round-0002")
    assert Checkpoint(tmp_path, 1).damage() == "its manifest is that of round 1"


def test_a_folder_behind_a_link_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "other", 1)
    (tmp_path / "round-0001").symlink_to(tmp_path / "other" / "round-0001")
    assert "is behind a link" in str(Checkpoint(tmp_path, 0).damage())


@pytest.mark.parametrize(
    "name", ["../../secret.safetensors", "/etc/passwd", "a/b.safetensors", "body.pt", ".safetensors", ""]
)
def test_no_name_in_a_manifest_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    """Even with a right checksum: the name itself is refused."""
    from raygan.run.checkpoints import _digest

    make(tmp_path, 1)
    file = tmp_path / "round-0001" / "manifest.json"
    content = json.loads(file.read_text())
    content["files"][name] = content["files"][FILES[0]]
    del content["digest"]
    file.write_text(json.dumps({**content, "digest": _digest(content)}))
    with pytest.raises(RunError, match=r"files.*String should match pattern"):
        Checkpoint(tmp_path, 0).manifest()


def test_what_a_kill_left_behind_is_swept(tmp_path: Path) -> None:
    make(tmp_path, 1)
    Checkpoint(tmp_path, 1).begin()
    (tmp_path / ".round-0003.gone").mkdir()
    Checkpoints(tmp_path, CheckpointConfig()).sweep()
    assert [path.name for path in tmp_path.iterdir()] == ["round-0001"]


def test_a_client_finds_its_state_whichever_actor_wrote_it(tmp_path: Path) -> None:
    """In an actor's file, in its own of an older checkpoint, else in its model's; one without any begins anew."""
    checkpoint = Checkpoint(tmp_path, 0)
    draft = Path(checkpoint.begin())
    held = {"clients-0003.safetensors": (3, 7), "client-0005.safetensors": (), "cluster-0.safetensors": ()}
    written = [replace(write_bytes(draft / name, b"x"), clients=clients) for name, clients in held.items()]
    checkpoint.finish(written, {}, [], STATE, Config())
    found = checkpoint.manifest().sources("cluster", {3: 0, 4: 0, 5: 0, 6: 1}, [7, 3, 4, 5, 6, 8])
    assert found == {
        7: "clients-0003.safetensors",
        3: "clients-0003.safetensors",
        4: "cluster-0.safetensors",
        5: "client-0005.safetensors",
        6: "",
        8: "",
    }
