import subprocess
import sys

import numpy as np
import pytest

from raygan.config.schema import DataConfig, DomainConfig
from raygan.data import DomainInfo, describe_domain, domain_label, domain_names, load_domain
from raygan.errors import DataError


@pytest.mark.parametrize("name", ["demo_mnist", "demo_fashion_mnist"])
def test_the_embedded_sample_is_balanced(name):
    info = describe_domain(DomainConfig(name=name), DataConfig())
    assert (info.num_train, info.num_test, info.image_size, info.channels) == (5000, 1000, (28, 28), 1)
    assert info.class_counts == (500,) * 10
    arrays = load_domain(DomainConfig(name=name), DataConfig())
    assert np.bincount(arrays.test_labels).tolist() == [100] * 10
    assert arrays.train_images.shape == (5000, 28, 28)


def test_a_description_counts_what_the_limit_leaves(make_npz):
    info = describe_domain(DomainConfig(npz=make_npz(), limit=10), DataConfig())
    assert info == DomainInfo(10, 8, (8, 8), 1, ("ant", "bee", "cat", "dog"), (3, 2, 3, 2), info.digest)


@pytest.mark.parametrize("name", ["train_images", "train_labels"])
def test_other_images_or_labels_have_another_digest(make_npz, name):
    fields = dict(np.load(make_npz()))
    turned = describe_domain(DomainConfig(npz=make_npz("turned.npz", changes={name: fields[name][::-1]})), DataConfig())
    same = describe_domain(DomainConfig(npz=make_npz("same.npz")), DataConfig())
    assert describe_domain(DomainConfig(npz=make_npz()), DataConfig()).digest == same.digest
    assert turned.digest != same.digest


def test_labels_of_domains_are_short():
    assert domain_label(DomainConfig(npz="some/where/faces.npz")) == "faces"
    assert domain_label(DomainConfig(images="some/photos/")) == "photos"
    assert domain_label(DomainConfig(name="kmnist")) == "kmnist"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "mnits",
            r"mnits: no such set; did you mean mnist\? known names: demo_mnist, demo_fashion_mnist, mnist",
        ),
        ("notMNIST", "torchvision has no notMNIST; make an .npz file of it"),
    ],
)
def test_an_unknown_name_is_one_line_with_the_nearest(name, message):
    with pytest.raises(DataError, match=message):
        describe_domain(DomainConfig(name=name), DataConfig())


def test_nothing_heavy_is_imported_before_it_is_needed():
    heavy = "torch torchvision ray PIL medmnist scipy"
    code = f"import sys, raygan.data; print([m for m in {heavy!r}.split() if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_domains_of_one_name_are_numbered():
    domains = ({"npz": "a/faces.npz"}, {"name": "kmnist"}, {"images": "b/faces"}, {"npz": "c/faces.npz"})
    names = domain_names(DataConfig(domains=domains))
    assert names == ["faces", "kmnist", "faces-2", "faces-3"]
