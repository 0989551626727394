from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from raygan.config import Config
from raygan.config.devices import DeviceProfile
from raygan.config.loading import absolute_paths, changed_config, make_config, parse_override, read_config, set_key
from raygan.config.yaml_text import from_yaml
from raygan.errors import ConfigError
from raygan.search.schema import SearchConfig


def test_the_default_is_whole() -> None:
    assert read_config() == Config()
    assert Config().num_clients == 6


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=1e-4", 1e-4),
        ("a=2.5e3", 2500.0),
        ("a=x", "x"),
        ("a=[1, 2]", [1, 2]),
        ("a=null", None),
        ("a=b=c", "b=c"),
        ("a=1:30", "1:30"),
        ("a=0777", "0777"),
        ("a=[00014, 0, -3, 1_000, 0.5]", ["00014", 0, -3, 1000, 0.5]),
        ("a=00014", "00014"),
    ],
)
def test_override_values_are_yaml_and_numbers_are_numbers(text: str, value: object) -> None:
    assert parse_override(text) == ("a", value)


def test_an_override_reaches_into_a_list_that_the_file_does_not_have() -> None:
    changed = make_config(set_key({}, "data.domains.1.clients", 5))
    assert [domain.clients for domain in changed.data.domains] == [3, 5]


def test_an_override_changes_only_its_key(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("training: {rounds: 9, lr: 1.0e-3}\n")
    config = read_config(file, ["training.rounds=2"])
    assert (config.training.rounds, config.training.lr) == (2, 1e-3)


def test_a_mapping_that_is_laid_over_a_scenarios_number_replaces_it() -> None:
    rates = {"generator": 1e-4, "discriminator": 3e-4}
    above = {"scenario": 5, "training": {"lr": rates, "rounds": 2}, "data.domains": {0: {"clients": 7}}}
    config = changed_config({"training": {"batch_size": 16}}, [("training.lr.generator", 1)], above)
    assert (config.training.lr_of("generator"), config.training.lr_of("discriminator")) == (1, 3e-4)
    assert (config.training.rounds, config.training.batch_size, config.training.local_epochs) == (2, 16, 5)
    assert [domain.clients for domain in config.data.domains] == [7, 20]
    with pytest.raises(ConfigError, match=r"training\.lr\.generator: 0\.0002 has no keys"):
        changed_config({"scenario": 5}, [("scenario", 5), ("training.lr.generator", 1)])


def test_later_overrides_win() -> None:
    assert read_config(None, ["seed=1", "seed=2"]).seed == 2


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("# nothing\n")
    assert read_config(tmp_path / "c.yaml") == Config()


def test_a_list_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="holds a list; write keys and values"):
        read_config(tmp_path / "c.yaml")


def test_a_configuration_is_frozen_and_survives_its_file() -> None:
    config = make_config({"data": {"partition": {"dirichlet": 0.3}}, "clusters": {"count": 2}})
    assert make_config(config.model_dump(mode="json")) == config
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3  # type: ignore[misc]


@pytest.mark.parametrize("count", [1, 3, "auto"])
def test_as_many_clusters_as_take_part_in_a_round_may_be(count: object) -> None:
    half = make_config({"training": {"participation": 0.5}, "clusters": {"count": count}})
    assert half.clients_a_round == 3


def test_more_clusters_than_take_part_in_a_round_are_refused() -> None:
    """Six clients, three in a round: of four clusters each would have one member at most."""
    message = r"clusters.count: 4 clusters for 3 clients in a round; lower clusters.count or raise training.part"
    with pytest.raises(ConfigError, match=message):
        make_config({"training": {"participation": 0.5}, "clusters": {"count": 4}})
    assert make_config({"clusters": {"count": 4}}).clients_a_round == 6


def test_paths_become_absolute_for_actors_in_other_folders() -> None:
    config = absolute_paths(make_config({"data": {"domains": [{"npz": "a.npz"}, {"name": "demo_mnist"}]}}))
    assert config.data.domains[0].npz == str(Path.cwd() / "a.npz")
    assert config.data.domains[1].name == "demo_mnist"


def test_a_cache_of_classifiers_is_found_from_any_folder(tmp_path: Path) -> None:
    given = [make_config({"evaluation": {"cache": cache}}) for cache in ("kept", "/kept", "~/kept", None)]
    found = [absolute_paths(config, tmp_path).evaluation.cache for config in given]
    assert found == [str(tmp_path / "kept"), "/kept", "~/kept", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\ntraining: {rounds: 2}\ntraining: {lr: 1.0e-3}\n", "c.yaml:3: the key 'training' is given twice"),
        ("training:\n  rounds: 2\n  lr: 1\n  rounds: 3\n", "c.yaml:4: the key 'rounds' is given twice; keep one"),
        ("training: {rounds: 1:30}\n", "training.rounds: '1:30' does not fit; give a whole number"),
    ],
)
def test_what_yaml_reads_otherwise_than_people_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """YAML 1.1 keeps the last of two keys and reads 1:30 as 90."""
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / "c.yaml")


def test_a_leading_zero_makes_no_octal_number(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("seed: 0777\n")
    assert read_config(tmp_path / "c.yaml").seed == 777


def test_merges_are_no_repetition() -> None:
    assert from_yaml("x: &a {p: 1, q: 2}\ny: {<<: *a, p: 3}") == {"x": {"p": 1, "q": 2}, "y": {"p": 3, "q": 2}}


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and all that its fields hold."""
    yield model
    for field in model.model_fields.values():
        for part in parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from sections(part)


def parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from parts(argument)


def test_true_is_no_number_wherever_one_belongs() -> None:
    """Pydantic takes it for 1."""
    numbers = [
        (model.__name__, name, field)
        for model in dict.fromkeys((*sections(Config), *sections(SearchConfig)))
        for name, field in model.model_fields.items()
        if {int, float} & set(parts(field.annotation)) and bool not in parts(field.annotation)
    ]
    assert len(numbers) > 60
    for owner, name, field in numbers:
        print(owner, name)
        with pytest.raises(ValidationError):
            if_true(owner, name, field)


def if_true(owner: str, name: str, field: Any) -> None:
    """Reads a field that is given true."""
    if owner == "DeviceProfile":  # which looks at all of its fields itself
        DeviceProfile.model_validate({"flops_per_s": 1, "bytes_per_s": 1, name: True})
    else:
        TypeAdapter(Annotated[(field.annotation, *field.metadata, None)]).validate_python(True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=true", "seed: a number is needed, not true or false"),
        ("scenario=true", "scenario: a number is needed, not true or false"),
        ("training.betas=[true,0.9]", r"training.betas.0: a number is needed, not true or false"),
        ("clusters.count=true", "clusters.count: True does not fit; give 'auto' or 'oracle' or give a number$"),
        ("data.partition={}", r"data.partition: {} says nothing; give dirichlet or natural in it"),
        ("ray.step_deadline_s={}", r"ray.step_deadline_s.median: is missing; give it a value"),
    ],
)
def test_values_that_say_nothing_are_told(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(None, [override])


def test_the_number_after_a_lists_last_adds_an_entry() -> None:
    found = read_config(None, ["data.domains.2={name: demo_mnist, clients: 1}"]).data.domains
    assert [domain.clients for domain in found] == [3, 3, 1]
    with pytest.raises(ConfigError, match="a list of 2 entries has no '3'; give an entry's number, from 0"):
        read_config(None, ["data.domains.3={name: demo_mnist}"])
