"""From a search's file to the trials' configurations."""

from __future__ import annotations

import optuna
import pytest
import yaml

from raygan.config.schema import LearningRates
from raygan.errors import ConfigError
from raygan.search.checks import check_space
from raygan.search.learning import ask
from raygan.search.search import read_search


def test_grids_are_crossed_with_each_other_draws_and_seeds(searching) -> None:
    search = searching("space.training.lr={loguniform: [1.0e-4, 1.0e-3]}", "samples=2", "seeds=[3, 4]")
    points = search.points()
    assert [(p["clusters.count"], p["seed"]) for p in points] == [(c, s) for _ in "ab" for c in (1, 2) for s in (3, 4)]
    rates = [point["training.lr"] for point in points]
    assert rates[0] == rates[1], "a point is the same with every seed"
    assert len(set(rates)) == 4, "each combination of the grids is drawn for"
    assert points == searching("space.training.lr={loguniform: [1.0e-4, 1.0e-3]}", "samples=2", "seeds=[3, 4]").points()


def test_a_grid_search_crosses_choices_too(searching) -> None:
    points = searching("searcher=grid").points()
    assert [(p["clusters.count"], p["training.lr"]) for p in points] == [
        (1, 1e-3),
        (1, 1e-4),
        (2, 1e-3),
        (2, 1e-4),
    ]


def test_a_point_sets_its_keys_and_nothing_else(searching) -> None:
    search = searching()
    point = {"clusters.count": 2, "training.lr": 1e-4, "seed": 7}
    config, base = search.config_of(point), search.config_of({**point, "clusters.count": 1, "seed": 0})
    assert (config.clusters.count, config.training.lr, config.seed) == (2, 1e-4, 7)
    assert config.model_copy(update={"clusters": base.clusters, "seed": 0}) == base


def test_named_values_are_set_as_a_whole(searching) -> None:
    search = searching("space.cuts={grid: {planned: {solver: exact}, ga: {solver: ga}}}")
    point = search.points()[1]
    assert point["cuts"] == "ga"
    assert search.config_of(point).cuts.solver == "ga"


def test_a_variant_changes_some_keys_of_a_section_and_the_space_goes_above_it(searching) -> None:
    search = searching("variants={plain: {}, sharp: {clusters: {beta: 9, count: 1}, training.lr: 0.5}}", "seeds=[5]")
    assert [(p["variant"], p["clusters.count"]) for p in search.points()] == [
        ("plain", 1), ("plain", 2), ("sharp", 1), ("sharp", 2),
    ]  # fmt: skip
    last = search.points()[-1]
    config, base = search.config_of(last), search.config_of(search.points()[0])
    assert (config.clusters.beta, config.clusters.count, config.seed) == (9, 2, 5)
    assert config.clusters.warmup_rounds == base.clusters.warmup_rounds != type(config.clusters)().warmup_rounds
    assert config.training.lr == last["training.lr"], "the space's"


def test_a_variants_mapping_replaces_a_number_of_the_base_and_adds_to_its_mapping(searching) -> None:
    both, one = "{generator: 5.0e-4, discriminator: 2.0e-3}", "variants={one: {training: {lr: {generator: 1}}}}"
    nested, dotted = f"nested: {{training: {{lr: {both}}}}}", f"dotted: {{training.lr: {both}}}"
    for variant in (nested, dotted):
        (config,) = check_space(searching("space={}", "base.training.lr=1.0e-3", f"variants={{{variant}}}")).values()
        assert config.training.lr == LearningRates(generator=5e-4, discriminator=2e-3)
        assert config.training.batch_size == 8, "the base's"
    (config,) = check_space(searching("space={}", f"base.training.lr={both}", one)).values()
    assert config.training.lr == LearningRates(generator=1, discriminator=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["base.training.lr=0.1", "variants={a: {training.lr.generator: 1}}"],
            "variants.a: training.lr.generator: 0.1 has no keys; set the key before it as a whole",
        ),
        (["variants={a: {}, b: {}}"], "variants: 'b' gives the same configuration as a"),
        (["variants={a: {}, b: {traning.lr: 1}}"], r"variants.b: traning: unknown key|variants.b: traning.lr"),
        (["variants={a: {}}", "reference=c"], "reference: 'c' is no variant"),
        (["space={}"], "space: nothing to try"),
        (["space.variant={grid: [1]}"], "space.variant: variants are no key of a configuration"),
    ],
)
def test_a_mistake_in_variants_names_it(searching, changes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        check_space(searching(*changes))


def test_more_keys_for_some_points(searching) -> None:
    search = searching("conditional=tests.search.conftest:more_keys")
    first, second = search.points()
    assert "clusters.beta" not in first
    assert 1 <= second["clusters.beta"] <= 2
    assert search.config_of(second).clusters.beta == second["clusters.beta"]


def test_optuna_is_asked_for_the_keys_that_a_point_has(searching) -> None:
    search = searching("conditional=tests.search.conftest:more_keys", "searcher=optuna",
                       "space.clusters.count={choice: [1, 2]}")  # fmt: skip
    fixed = {"set/clusters.count": 2, "set/training.lr": 1e-3, "set/clusters.beta": 1.5}
    asked = ask(search, optuna.trial.FixedTrial(fixed))
    assert asked == {**fixed, "set/seed": 0}
    fixed = {"set/clusters.count": 1, "set/training.lr": 1e-3}
    assert ask(search, optuna.trial.FixedTrial(fixed)) == {**fixed, "set/seed": 0}


def test_a_saved_search_is_the_same_from_another_folder(searching, tmp_path, monkeypatch) -> None:
    search = searching()
    search.save(tmp_path / "kept.yaml")
    monkeypatch.chdir("/")
    again = read_search(tmp_path / "kept.yaml")
    assert [again.config_of(p) for p in again.points()] == [search.config_of(p) for p in search.points()]


def test_relative_data_is_found_from_where_the_search_began(searching, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    search = searching("base.data.domains.0.npz=here.npz")
    search.save(tmp_path / "kept.yaml")
    monkeypatch.chdir("/")
    again = read_search(tmp_path / "kept.yaml")
    assert again.config_of(again.points()[0]).data.domains[0].npz == str(tmp_path / "here.npz")


def test_a_base_may_be_a_file(search_file, tmp_path, two_clients) -> None:
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(two_clients))
    settings = yaml.safe_load(search_file.read_text()) | {"base": "base.yaml"}
    search_file.write_text(yaml.safe_dump(settings))
    assert read_search(search_file).points()
    assert len(check_space(read_search(search_file))) == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sampels=2", "sampels: unknown key; did you mean 'samples'?"),
        ("samples=0", "samples: 0 does not fit"),
        ("space=3", "space: 3 does not fit"),
        ("space={}", "space: nothing to try; give keys with what they may become, or variants"),
        ("space.clusters.cuont={grid: [1, 2]}", "space.clusters.cuont: 1: clusters.cuont: unknown key; did you mean"),
        ("space.clusters.count={grid: [1, 3]}", "space.clusters.count: 3: clusters.count: 3 clusters for 2 clients"),
        ("space.clusters.beta={choice: [1, -2]}", "space.clusters.beta: -2: clusters.beta: -2 does not fit"),
        ("space.training.lr={uniform: [-1, 1]}", "space.training.lr: -1: training.lr: -1 does not fit"),
        ("space.training.lr={uniform: [1, 0]}", "space.training.lr: uniform: 1 is not below 0"),
        ("space.training.rounds={uniform: [1.5, 2.5]}", "space.training.rounds: 1.5: training.rounds: 1.5 does not fit"),
        ("space.training.rounds={grid: [3]}", "space.training.rounds: 3 gives the same configuration as the base"),
        ("space.data.partition={grid: {a: iid, b: iid}}", "'b' gives the same configuration as a"),
        ("space.seed={grid: [0, 1]}", "space.seed: a seed is not searched; give seeds"),
        ("seeds=[1, 1]", "seeds: the same seed twice"),
        ("in_process=sometimes", "in_process: 'sometimes' does not fit"),
        ("base.training.roundz=3", "base.training.roundz: unknown key; did you mean 'rounds'?"),
        ("base=nowhere.yaml", "nowhere.yaml: cannot be read"),
        ("metric=label_agrement", "metric: 'label_agrement' is not reported; did you mean 'label_agreement'?"),
        ("metric=label_agreement/mars", "is not reported"),
        ("metric=usefulness_accuracy", "set base.evaluation.usefulness_images"),
        ("mode=best", "mode.0: 'best' does not fit; give 'max' or 'min'"),
        ("mode=[max, min]", "mode: 2 modes for 1 metrics"),
        ("searcher=tpe", "searcher.name: 'tpe' does not fit; give 'random', 'grid', 'optuna',"),
        ("searcher={name: random, sampler: tpe}", "searcher: sampler and startup_trials are Optuna's"),
        ("searcher=optuna", "space.clusters.count: optuna draws and does not cross grids; write choice"),
        ("conditional=nowhere:f", "conditional: 'nowhere:f' cannot be imported"),
        ("conditional=tests.search.conftest:nothing", "cannot be imported"),
        ("conditional=os:system", "conditional: os:system failed with TypeError"),
        ("conditional=sys:exit", "conditional: sys:exit failed with SystemExit"),
        ("conditional=tests.search.conftest:no_keys", "conditional: tests.search.conftest:no_keys returned []"),
        ("conditional=tests.search.conftest:same_keys", "'training.lr' is in the space already"),
        ("stop.score=high", "stop.score: 'high' does not fit"),
        ("stop={rounds: 3}", "stop.rounds: unknown key"),
        ("resources.cpus_per_trial=-1", "resources.cpus_per_trial: -1 does not fit"),
        ("base.data.domains.0.labels={site: a}", "data.domains[0].labels: site=a, but a search needs every domain"),
        ("base.devices.profiles.small.labels={rack: b}", "devices.profiles.small.labels: rack=b, but this search"),
        ("base.checkpoints.storage=s3://bucket/run", "checkpoints.storage: 's3://bucket/run', but only one run"),
        ("callbacks=[mlfow]", "callbacks.mlfow: 'mlfow' does not fit; give 'mlflow' or 'wandb'"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(searching, override: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".+: .+; .+") as refused:
        check_space(searching(override))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_learning_search_needs_scores_in_every_round(searching) -> None:
    with pytest.raises(ValueError, match="scores come only every 2 rounds; set 1"):
        check_space(searching("scheduler=asha", "base.evaluation.every=2"))


def test_devices_have_labels_on_a_cluster(searching) -> None:
    labels = "base.devices.profiles.small.labels={rack: b}"
    assert check_space(searching(labels, "base.ray.address=10.0.0.1:6379"))


def test_a_combination_that_does_not_fit_is_found(searching) -> None:
    search = searching("space.data.domains.0.clients={grid: [1, 2]}", "space.clusters.count={grid: [1, 3]}")
    with pytest.raises(ValueError, match="3 clusters for 2 clients"):
        check_space(search)
