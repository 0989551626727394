import pytest

from raygan.config import Config
from raygan.config.scenarios import scenario_settings


@pytest.mark.parametrize(
    ("number", "domains", "partition"),
    [
        (1, 1, "iid"),
        (2, 1, "non_iid"),
        (3, 2, "iid"),
        (4, 2, "non_iid"),
        (5, 2, "highly_non_iid"),
        (6, 4, "iid"),
    ],
)
def test_scenarios_are_valid_configurations_of_the_papers_size(number, domains, partition):
    config = Config.model_validate(scenario_settings(number))
    assert config.num_clients == 20 * domains
    assert config.data.partition == partition
    assert (config.training.batch_size, config.training.local_epochs, config.training.rounds) == (64, 5, 50)
    assert config.model.width == 1.0


def test_settings_are_the_callers_own():
    scenario_settings(6)["training"]["rounds"] = 1
    assert scenario_settings(6)["training"]["rounds"] == 50
    assert scenario_settings(6)["data"]["domains"][3] == {"npz": "notmnist.npz", "clients": 20}
