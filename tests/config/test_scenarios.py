import pytest

from raygan.config import Config
from raygan.config.loading import make_config, read_config
from raygan.config.scenarios import scenario_settings
from raygan.errors import ConfigError


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
    assert (config.training.lr, config.training.betas, config.training.steps) == (2e-4, (0.5, 0.999), "everybody")
    assert config.data.images_per_client == {1: 3000, 2: 1500, 4: 750}[domains]
    assert (config.model.width, config.evaluation.usefulness_images) == (1.0, 30_000)


def test_settings_are_the_callers_own():
    scenario_settings(6)["training"]["rounds"] = 1
    assert scenario_settings(6)["training"]["rounds"] == 50
    assert scenario_settings(6)["data"]["domains"][3] == {"npz": "notmnist.npz", "clients": 20}


def test_a_scenario_sets_the_keys_that_are_not_given():
    config = read_config(None, ["training.rounds=3", "scenario=5", "model.width=0.25"])
    assert (config.scenario, config.training.rounds, config.model.width) == (5, 3, 0.25)
    assert (config.training.batch_size, config.training.local_epochs) == (64, 5)
    assert config.data.partition == "highly_non_iid"
    assert [domain.name for domain in config.data.domains] == ["mnist", "fashion_mnist"]
    assert config.training.betas == Config().training.betas


def test_a_setting_reaches_into_the_domains_of_a_scenario():
    config = read_config(None, ["data.domains.1.clients=4", "scenario=3"])
    assert [domain.clients for domain in config.data.domains] == [20, 4]


def test_domains_of_the_users_own_replace_the_scenarios(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("scenario: 4\ndata: {domains: [{npz: a.npz, clients: 2}]}\n")
    config = read_config(path)
    assert [domain.npz for domain in config.data.domains] == ["a.npz"]
    assert config.data.partition == "non_iid"


def test_a_resolved_configuration_stays_as_it_is():
    config = read_config(None, ["scenario=2", "training.rounds=7"])
    assert make_config(config.model_dump(mode="json")) == config


def test_there_are_six_scenarios():
    with pytest.raises(ConfigError, match="scenario: 7 does not fit; give less than or equal to 6"):
        read_config(None, ["scenario=7"])
