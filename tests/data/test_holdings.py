import numpy as np
import pytest

from raygan.config import Config
from raygan.data import client_slices, describe_domain, load_client, survey_domains
from raygan.errors import DataError


@pytest.mark.parametrize("most", [None, 100])
@pytest.mark.parametrize("partition", ["iid", "non_iid", "highly_non_iid", {"dirichlet": 0.5}])
def test_the_table_is_what_the_clients_then_hold(partition, most):
    config = Config.model_validate(
        {
            "data": {
                "domains": [
                    {"name": "demo_mnist", "clients": 3, "limit": 900},
                    {"name": "demo_fashion_mnist", "clients": 2},
                ],
                "partition": partition,
                "images_per_client": most,
            }
        }
    )
    table = [row for survey in survey_domains(config) for row in survey.holdings]
    infos = [describe_domain(domain, config.data) for domain in config.data.domains]
    assert [row.client for row in table] == [0, 1, 2, 3, 4]
    assert [row.domain for row in table] == ["demo_mnist"] * 3 + ["demo_fashion_mnist"] * 2
    if most is None:
        assert sum(row.num_images for row in table) == 900 + 5000
    else:
        assert max(row.num_images for row in table) <= 100
    for row, description in zip(table, client_slices(config, infos), strict=True):
        client = load_client(description)
        assert row.num_images == len(client) == sum(row.class_counts)
        assert row.class_counts == tuple(np.bincount(client.labels, minlength=10))


def test_a_client_without_images_is_found_before_any_starts(make_npz):
    config = Config.model_validate({"data": {"domains": [{"npz": make_npz(), "clients": 13}]}})
    with pytest.raises(DataError, match=r"data.domains\[0\] \(tiny\): 24 training images for 13 clients"):
        survey_domains(config)
