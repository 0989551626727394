"""Classes by name: what label a class has where several domains know it."""

import numpy as np
import pytest

from raygan.config import Config
from raygan.data import client_slices, load_client, survey_domains, with_common_classes
from raygan.data.classes import common_names, label_names, numbers_of
from raygan.data.client import image_set
from raygan.errors import DataError
from raygan.run.plan import make_plan


def words(*texts: str) -> list[tuple[str, ...]]:
    return [tuple(text.split()) for text in texts]


@pytest.mark.parametrize(
    ("domains", "expected"),
    [
        (["a b c", "a b c"], ["a b c", "a b c"]),
        (["0 1 2", "shirt bag"], ["0 1 2", "shirt bag"]),  # nothing in common: as they are
        (["a c", "a b c"], ["a b c", "a b c"]),
        (["a b d", "b c"], ["a b c d", "a b c d"]),  # both sorted, so all are
        (["cat ant", "bee cat ant"], ["bee cat ant", "bee cat ant"]),  # as the one with most has them
        (["cat ant", "dog cat"], ["cat ant dog", "cat ant dog"]),
        (["a b", "b c", "x y", "c d"], ["a b c d", "a b c d", "x y", "a b c d"]),  # through others
        (["b a", "a b"], ["b a", "b a"]),
        (["0 1 2", "1 2 3"], ["0 1 2 3", "0 1 2 3"]),
    ],
)
def test_domains_with_a_name_in_common_number_their_classes_alike(domains, expected):
    assert common_names(words(*domains)) == words(*expected)


@pytest.mark.parametrize(
    ("own", "wanted", "expected"),
    [
        ("a c", "a b c", [0, 2]),
        ("c a", "a b c", [2, 0]),
        ("0 1 2", "ant bee cat dog", [0, 1, 2]),  # known by number only
        ("1 2 3", "ant bee cat", [0, 1, 2]),
        ("1 3", "3 2 1", [2, 0]),  # these are names
    ],
)
def test_labels_are_looked_up_by_name_or_named_in_order(own, wanted, expected):
    (mine,), (theirs,) = words(own), words(wanted)
    assert numbers_of(mine, theirs, "x").tolist() == expected


@pytest.mark.parametrize(
    ("own", "wanted", "message"),
    [
        ("a b", "a c", r"x: it has the class 'b', and classes does not \(2 names\); add it to classes"),
        ("0 1 2", "a b", r"it has the class '0', and classes does not"),
        ("a b", "a b a", "classes has 'a' twice; give each name once"),
    ],
)
def test_names_that_do_not_fit(own, wanted, message):
    (mine,), (theirs,) = words(own), words(wanted)
    with pytest.raises(DataError, match=message):
        numbers_of(mine, theirs, "x")


def test_a_label_of_several_domains_has_all_their_names():
    assert label_names(words("0 1 2", "shirt bag")) == ["0 / shirt", "1 / bag", "2"]
    assert label_names(words("a b", "a b")) == ["a", "b"]


@pytest.fixture
def config(make_npz) -> Config:
    """Site a has no bees; site b has three classes of its own order."""
    names_a, names_b = np.array(["ant", "cat", "dog"]), np.array(["ant", "bee", "cat"])
    train = {"train_labels": np.arange(24) % 3, "test_labels": np.arange(8) % 3}
    a = make_npz("a.npz", changes={**train, "classes": names_a})
    b = make_npz("b.npz", changes={**train, "classes": names_b})
    return Config.model_validate({"data": {"domains": [{"npz": a, "clients": 2}, {"npz": b, "clients": 1}]}})


def test_two_sites_mean_the_same_by_a_label(config):
    """Image i is of class i % 3 of its site; together ant 0, bee 1, cat 2, dog 3."""
    surveys = with_common_classes(survey_domains(config))
    infos = [survey.info for survey in surveys]
    assert [info.classes for info in infos] == [("ant", "bee", "cat", "dog")] * 2
    assert [info.class_counts for info in infos] == [(8, 0, 8, 8), (8, 8, 8, 0)]
    slices = client_slices(config, infos, [survey.numbers for survey in surveys])
    clients = [load_client(part) for part in slices]
    for number, run_labels in ((0, [0, 2, 3]), (1, [0, 2, 3]), (2, [0, 1, 2])):
        images, labels = clients[number].images[:, 0, 0, 0], clients[number].labels
        assert labels.tolist() == [run_labels[i % 3] for i in images]
        held = (surveys[0].holdings + surveys[1].holdings)[number]
        assert held.class_counts == tuple(np.bincount(labels, minlength=4))
    assert {client.num_classes for client in clients} == {4}
    assert surveys[0].found.notes[-1].startswith("'bee': classes of other domains")
    assert slices[2].numbers == (0, 1, 2), "no site is told the names of another's classes"


def test_the_evaluator_has_the_labels_of_the_run(config):
    plan = make_plan(config)
    assert plan.shape.num_classes == 4
    first = image_set(config.data.domains[0], config.data, plan.shape, "test", plan.infos[0].classes)
    assert first.labels.tolist() == [0, 2, 3, 0, 2, 3, 0, 2]
    assert [part.data.numbers for part in plan.layout.clients] == [(0, 2, 3), (0, 2, 3), (0, 1, 2)]


def test_domains_that_name_their_classes_alike_are_as_they_were(make_npz):
    config = Config.model_validate({"data": {"domains": [{"npz": make_npz("a.npz")}, {"npz": make_npz("b.npz")}]}})
    surveys = survey_domains(config)
    assert with_common_classes(surveys) == surveys
