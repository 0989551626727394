import sys

import numpy as np
import pytest

from raygan.config.schema import DataConfig, DomainConfig
from raygan.data import Arrays, describe_domain, load_domain
from raygan.errors import DataError

MODULE = """
import numpy as np
from raygan.data import Arrays

def good(domain):
    labels = np.arange(domain.clients * 4) % 2
    images = np.zeros((len(labels), 8, 8), np.uint8)
    return dict(train_images=images, train_labels=labels, test_images=images, test_labels=labels,
                train_site=labels)

def whole(domain):
    fields = good(domain)
    return Arrays.checked("x", fields)

def fails(domain):
    raise RuntimeError("the disk is\\nfull")

def exits(domain):
    raise SystemExit(0)

def interrupts(domain):
    raise KeyboardInterrupt

def ends(domain):
    raise GeneratorExit

def nothing(domain):
    return None

def ragged(domain):
    return good(domain) | {"train_images": [[1], [1, 2]]}

def wrong(domain):
    return good(domain) | {"train_labels": np.zeros(3, int)}

number = 3
"""


@pytest.fixture(autouse=True)
def _module(tmp_path, monkeypatch):
    (tmp_path / "raygan_test_loader.py").write_text(MODULE)
    (tmp_path / "raygan_test_exit.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.delitem(sys.modules, "raygan_test_loader", raising=False)
    yield
    sys.modules.pop("raygan_test_loader", None)


@pytest.mark.parametrize("name", ["good", "whole"])
def test_a_dict_or_arrays_is_a_domain(name):
    before = list(sys.path)
    domain = DomainConfig(loader=f"raygan_test_loader:{name}", clients=3)
    arrays = load_domain(domain, DataConfig())
    assert isinstance(arrays, Arrays)
    assert len(arrays.train_labels) == 12  # it was called with its configuration
    assert np.array_equal(arrays.groups["site"], arrays.train_labels)
    assert describe_domain(domain, DataConfig()).num_train == 12
    assert sys.path == before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("raygan_test_loader", "is no import path; write package.module:function"),
        (
            "no_such_module:f",
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'; check",
        ),
        ("raygan_test_loader:none", "cannot be imported: AttributeError: .*none"),
        ("raygan_test_loader:number", "is a int, not a function"),
        (
            "raygan_test_loader:fails",
            r"it failed with RuntimeError: the disk is full \(.*py, line 16\); mend the loader",
        ),
        (
            "raygan_test_loader:exits",
            r"it failed with SystemExit: 0 \(raygan_test_loader.py, line 19\); mend the loader",
        ),
        ("raygan_test_loader:interrupts", r"it failed with KeyboardInterrupt \(raygan_test_loader.py, line 22\)"),
        ("raygan_test_loader:ends", r"it failed with GeneratorExit \(raygan_test_loader.py, line 25\)"),
        ("raygan_test_exit:f", r"cannot be imported: SystemExit: 3 \(raygan_test_exit.py, line 1\)"),
        ("os:system", "it failed with TypeError: expected str"),
        ("raygan_test_loader:nothing", "it returned NoneType; return a dict with train_images"),
        ("raygan_test_loader:ragged", "not arrays: ValueError"),
        ("raygan_test_loader:wrong", r"train_labels has the shape \(3,\) for 12 images"),
    ],
)
def test_a_loader_that_does_not_work_is_one_line(path, message):
    with pytest.raises(DataError, match=message) as caught:
        describe_domain(DomainConfig(loader=path), DataConfig())
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
