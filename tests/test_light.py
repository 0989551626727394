from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from raygan.config.loading import make_config
from raygan.run.plan import make_plan


@pytest.mark.parametrize(
    "module",
    [
        "raygan.runtime.ray.actors",
        "raygan.runtime.ray.transport",
        "raygan.cuts",
        "raygan.data",
        "raygan.config",
    ],
)
def test_what_an_aggregator_or_a_planner_imports_brings_no_torch(module: str) -> None:
    check = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("module", ["raygan.split.body", "raygan.split.worker", "raygan.api"])
def test_what_comes_before_the_first_step_does_without_scikit_learn(module: str) -> None:
    check = f"import sys, {module}; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("module", ["raygan.cli.train", "raygan.run.stored"])
def test_a_plan_and_what_follows_it_come_without_pandas(module: str) -> None:
    check = f"import sys, {module}; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("library", ["numpy", "pydantic", "torch", "ray"])
def test_the_help_page_brings_no_library_but_that_of_the_command_line(library: str) -> None:
    check = f"import sys, raygan.cli; sys.exit({library!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_networks_are_built_costed_and_trained_without_torch_s_compiler() -> None:
    program = """
import sys
from itertools import product
from raygan.nn.cost import network_costs
from raygan.nn.network import build_networks
from raygan.nn.optimizer import FusedAdam
from raygan.nn.spec import NetworkSpec

for networks, spectral_norm in product(("paper", "projection", "plane_projection", "residual"), (False, True)):
    spec = NetworkSpec(image_size=32, channels=3, num_classes=2, width=0.125, latent_size=4, label_embedding_size=4,
                       spectral_norm=spectral_norm, networks=networks, group_norm=False)
    built = build_networks(spec, None, 0)
    network_costs(build_networks(spec, None, 0), spec, 4)
    parameters = [parameter for block in built.blocks.values() for parameter in block.parameters()]
    sum(parameter.sum() for parameter in parameters).backward()
    FusedAdam(parameters, 1e-3, (0.5, 0.999)).step()
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("algorithm", ["huscf", "fed_gan", "md_gan", "ua_gan", "fed_split_gan"])
def test_a_round_needs_neither_sympy_nor_a_solver(tiny_settings: dict, tmp_path: Path, algorithm: str) -> None:
    """Nor torch's compiler. The plan, for which the driver needs them, comes from here, as an actor's does."""
    file = tmp_path / "plan"
    plan = make_plan(make_config(tiny_settings | {"algorithm": algorithm}))
    file.write_bytes(pickle.dumps((plan, plan.algorithm.parties())))
    program = f"""
import pickle, sys
from pathlib import Path
from raygan.runtime.federation import Federation
from raygan.runtime.in_process import InProcessBackend
from raygan.runtime.steps import Cohort, Deadline, StepLoop

plan, parties = pickle.loads(Path({str(file)!r}).read_bytes())
backend = InProcessBackend(parties, plan.config, None)
federation = Federation(backend, plan.layout, StepLoop(backend, lambda *_: None, Deadline(None), 1))
plan.algorithm.round(federation, plan.algorithm.init(), Cohort(0, 2, tuple(plan.layout.ids), 1))
print(found := [name for name in ("sympy", "scipy.optimize", "torch._dynamo") if name in sys.modules])
sys.exit(len(found))
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
