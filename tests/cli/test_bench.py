"""`raygan bench` at sizes at which its figures mean nothing: what is measured, not how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.command import command

RAYGAN = [sys.executable, "-c", "from raygan.cli import main; main()"]


@pytest.fixture
def config(tmp_path: Path, tiny_settings: dict) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(tiny_settings))
    return file


def bench(*arguments: object, **environment: str) -> dict:
    """The document; nothing else is on standard output."""
    parts = [*RAYGAN, "bench", *map(str, arguments), "--json", "--repeats", "1", "--seconds", "0"]
    done = subprocess.run(parts, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_document_holds_speeds_phases_bytes_memory_and_overheads(config: Path) -> None:
    document = bench(config)
    settings, throughput = document["settings"], document["throughput"]
    assert (settings["clients"], settings["client_actors"]) == (6, 3)
    assert list(throughput) == ["unsplit", "in_process", "ray"]
    assert throughput["unsplit"]["of_unsplit"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    for entry in throughput.values():
        speed = entry["images_per_s"]
        assert 0 < speed["min"] <= speed["median"] <= speed["max"]
    assert all(spread["median"] > 0 for spread in document["step_cpu_seconds"].values())
    work = document["phases"]
    assert set(work["ray"]["clients"]) == set(work["in_process"]["clients"]) > {"generate", "generator_loss"}
    assert set(work["ray"]["body"]) > {"generate forward", "generate backward"}
    workers = {"clients-00,03 small", "clients-01,04 medium", "clients-02,05 large"}
    assert set(document["actors"]) == {*workers, "body"}
    assert all(entry["memory_bytes"] > 1e6 for entry in document["actors"].values())
    assert set(document["links"]) == workers
    parts = {name: seconds for name, seconds in document["start_up"].items() if name != "total"}
    assert document["start_up"]["total"] == pytest.approx(sum(parts.values()), abs=0.01)
    assert list(parts) == ["import", "plan", "ray", "actors", "first_step"]
    end = document["round_end"]
    assert end["steps_of_a_round"] == 4, "32 images in batches of 8"
    assert 0 < end["share_of_a_round"] < 1


@pytest.mark.slow
def test_numbers_of_clients_are_compared_with_the_first(config: Path) -> None:
    rows = bench(config, "--scale", "3,6")["scale"]
    assert [row["clients"] for row in rows] == [3, 6]
    assert rows[0]["of_first"]["median"] == 1.0
    assert rows[0]["bytes_per_extra_client"] is None
    assert rows[1]["client_state_bytes"] > 0
    assert [row["checkpoint_files"] for row in rows] == [3 + 1 + 2, 3 + 1 + 2], "actors, the body, two clusters"
    assert all(row["driver_cpu_seconds"]["median"] > 0 for row in rows)


@pytest.mark.slow
def test_numbers_of_replicas_are_compared_with_one(config: Path) -> None:
    """They compute the same; only replicas that have others exchange anything."""
    one, two = bench(config, "--replicas", "1,2")["replicas"]
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert one["of_first"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert one["exchanged_bytes"]["max"] == one["exchange_seconds"]["max"] == 0
    assert two["exchanged_bytes"]["min"] > 1e4, "two gradients a step, at least"
    assert 0 < two["exchange_seconds"]["min"] < two["step_seconds"]["max"]
    assert two["body_memory_bytes"] > 1.5 * one["body_memory_bytes"] > 1e6
    assert all(row["step_cpu_seconds"]["median"] > 0 for row in (one, two))


@pytest.mark.slow
def test_numbers_of_sections_are_compared_with_one(config: Path) -> None:
    """Only a body in sections hands anything on; what it is, is known from the networks."""
    one, two = bench(config, "--sections", "1,2")["sections"]
    assert (one["sections"], two["sections"]) == (1, 2)
    assert one["of_first"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert one["carried_bytes"] == 0 < two["carried_bytes"]
    assert two["body_memory_bytes"] > 1.5 * one["body_memory_bytes"] > 1e6


def test_clients_at_once_are_compared_with_one_by_one(config: Path, tmp_path: Path) -> None:
    document = bench(config, "--vmap", HOME=str(tmp_path / "home"))
    blocks = {row["block"]: row for row in document["blocks"]}
    assert set(blocks) == {f"{network} {n}" for network in ("generator", "discriminator") for n in (0, 1, 3, 4)}
    assert all(row["clients"] == 2 and row["one_by_one_s"] > 0 < row["vmapped_s"] for row in blocks.values())
    assert set(document["of_one_by_one"]) == {"step", "clients"}
    assert document["settings"]["device"] == "CPU"
    kept = list((tmp_path / "home" / ".cache" / "raygan" / "vmap").glob("*.json"))
    assert len(kept) == len(blocks), "the measurements behind the choice are those that are shown"


def test_bad_options_are_one_line(config: Path) -> None:
    command("bench", config, "--scale", "10,ten").assert_refused("--scale", "10,ten", "10,50,200")
    command("bench", config, "--scale", "4,4").assert_refused("--scale", "4,4")
    command("bench", config, "--vmap", "--scale", "1,2").assert_refused("--vmap", "--scale", "give one of them")
    command("bench", config, "--vmap", "--clients-per-actor", "1").assert_refused("--vmap", "no actor has several")
    command("bench", config, "--replicas", "2,4").assert_refused("--replicas", "'2,4'", "begin with 1")
    command("bench", config, "--replicas", "1,two").assert_refused("--replicas", "1,two", "1,2,4")
    command("bench", config, "--replicas", "1,4").assert_refused("ray.body_replicas", "4", "give at most 3")
    command("bench", config, "--replicas", "1", "--scale", "1,2").assert_refused("--replicas", "given with --scale")
    command("bench", config, "--sections", "2").assert_refused("--sections", "'2' is no list of numbers of sections")
    command("bench", config, "--sections", "1,9").assert_refused("ray.body_pipeline", "9", "give at most")
    command("bench", config, "--sections", "1", "--vmap").assert_refused("--vmap", "given with --sections")
    command("bench", config, "--cuts", "deep").assert_refused("--cuts", "'deep'", "planned, mixed")
    command("bench", config, "--cuts", "2,2/0,0").assert_refused("(2, 2)")
    command("bench", config, "--width", "-1").assert_refused("model.width", "-1")
    hidden = ("--set", "privacy.secure_aggregation=true", "--set", "privacy.hide_discriminator=true")
    command("bench", config, *hidden).assert_refused("privacy.hide_discriminator: true: clients would keep a secret")
    command("bench", config, "--seconds", "inf").assert_refused("--seconds", "inf")
    command("bench", config, "--seconds", "inf", "--scale", "1,2").assert_refused("--seconds", "inf")
