import pickle

import numpy as np
import pytest

from raygan.config import Config
from raygan.config.schema import DomainConfig
from raygan.data import (
    CommonShape,
    client_slices,
    describe_domain,
    load_client,
    source,
)
from raygan.data.client import ImageSet, image_set
from raygan.errors import DataError


def slices_of(config: Config) -> list:
    return client_slices(config, [describe_domain(domain, config.data) for domain in config.data.domains])


def config_of(*domains: dict, **data) -> Config:
    return Config.model_validate({"data": {"domains": list(domains), **data}})


def class_counts(images: ImageSet) -> list[int]:
    return np.bincount(images.labels, minlength=images.num_classes).tolist()


def test_the_clients_of_a_domain_share_its_images_out(make_npz):
    config = config_of({"npz": make_npz(size=28), "clients": 3})
    clients = [load_client(description) for description in slices_of(config)]
    values = np.concatenate([client.images[:, 0, 0, 0] for client in clients])
    assert sorted(values.tolist()) == list(range(24))  # image i is filled with i
    for client in clients:
        assert client.images.shape == (8, 1, 28, 28)
        assert client.images.dtype == np.uint8
        assert np.array_equal(client.labels, client.images[:, 0, 0, 0] % 4)


def test_domains_of_different_form_come_to_one_shape(make_npz):
    grey = make_npz("grey.npz", size=28)
    colour = make_npz("colour.npz", size=32, channels=3, changes={"classes": np.array(list("abcdef"))})
    clients = [load_client(s) for s in slices_of(config_of({"npz": grey, "clients": 1}, {"npz": colour, "clients": 2}))]
    assert [client.images.shape for client in clients] == [(24, 3, 28, 28), (12, 3, 28, 28), (12, 3, 28, 28)]
    assert {client.num_classes for client in clients} == {6}
    assert clients[0].classes == ("ant", "bee", "cat", "dog")
    assert class_counts(clients[0]) == [6, 6, 6, 6, 0, 0]


def test_a_description_is_small_and_survives_pickling(make_npz):
    description = slices_of(config_of({"npz": make_npz(num_train=200), "clients": 2}))[1]
    packed = pickle.dumps(description)
    assert len(packed) < 4096
    assert pickle.loads(packed) == description
    here, there = load_client(description), load_client(pickle.loads(packed))
    assert np.array_equal(there.images, here.images)
    assert np.array_equal(there.labels, here.labels)


def test_a_process_reads_a_domain_once_and_anew_when_it_changed(make_npz, monkeypatch):
    reads = []
    load = source.NpzFile.load
    monkeypatch.setattr(source.NpzFile, "load", lambda self: reads.append(self.path) or load(self))
    config = config_of({"npz": make_npz(), "clients": 3})
    for description in slices_of(config):
        load_client(description)
    assert len(reads) == 1
    make_npz(num_train=30)
    assert sum(len(load_client(description)) for description in slices_of(config)) == 30
    assert len(reads) == 2


def test_a_batch_is_float_in_minus_one_to_one(make_npz):
    client = load_client(slices_of(config_of({"npz": make_npz(size=28), "clients": 1}))[0])
    images, labels = client.batch(np.array([3, 0]))
    assert images.dtype == np.float32
    assert images.shape == (2, 1, 28, 28)
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 0]
    assert images[0, 0, 0, 0] == pytest.approx(3 / 127.5 - 1)
    assert images[1].max() == -1.0


def client_of_size(size: int) -> ImageSet:
    return ImageSet(np.zeros((size, 1, 8, 8), np.uint8), np.zeros(size, np.int64), 1, ("a",))


@pytest.mark.parametrize(
    ("size", "batch", "sizes"), [(10, 4, [4, 4]), (8, 4, [4, 4]), (3, 4, [3]), (4, 4, [4]), (5, 4, [4])]
)
def test_an_epoch_is_full_batches_or_one_of_all(size, batch, sizes):
    batches = client_of_size(size).epoch_batches(np.random.default_rng(0), batch)
    assert [len(indices) for indices in batches] == sizes
    drawn = np.concatenate(batches)
    assert len(set(drawn.tolist())) == len(drawn)
    assert set(drawn.tolist()) <= set(range(size))


def test_epochs_follow_from_their_generator():
    client = client_of_size(10)
    first, again = (client.epoch_batches(np.random.default_rng([0, 3]), 4) for _ in range(2))
    other = client.epoch_batches(np.random.default_rng([0, 4]), 4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_evaluators_sets_have_the_runs_shape(make_npz):
    domain = DomainConfig(npz=make_npz(), limit=12)
    shape = CommonShape(16, 3, 7)
    train, test = (image_set(domain, Config().data, shape, part) for part in ("train", "test"))
    assert train.images.shape == (12, 3, 16, 16)
    assert test.images.shape == (8, 3, 16, 16)
    assert class_counts(train) == [3, 3, 3, 3, 0, 0, 0]


def test_an_error_names_domain_and_client(make_npz):
    groups = {"train_site": np.array([0] * 23 + [1])}
    config = config_of({"npz": make_npz(changes=groups), "clients": 2}, partition={"natural": "site"})
    with pytest.raises(DataError, match=r"data.domains\[0\] \(tiny\): client 1 of 2 would hold 1 images"):
        load_client(slices_of(config)[1])
