"""raygan: conditional GANs over devices that may not share their data, as Ray actors (HuSCF-GAN).

import raygan

run = raygan.train(raygan.Config(), out="runs/demo")
images = run.generators()[0].sample([0, 1, 2])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raygan.config import Config
    from raygan.report import resume, train
    from raygan.run.stored import Run
    from raygan.search.front import tune

__all__ = ["Config", "Run", "resume", "train", "tune"]
__version__ = "0.1.0"


def __dir__() -> list[str]:
    """What a person may write behind `raygan.`, though it is not there yet."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """On first use: they bring pydantic, torch and Ray along."""
    if name == "Config":
        from raygan.config import Config

        return Config
    if name == "Run":
        from raygan.run.stored import Run

        return Run
    if name == "tune":
        from raygan.search.front import tune

        return tune
    if name == "search":
        return import_module("raygan.search")
    if name in ("train", "resume"):
        from raygan import report

        return getattr(report, name)
    raise AttributeError(f"module 'raygan' has no attribute {name!r}")
