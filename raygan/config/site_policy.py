"""What the owner of a site allows to be done with the data there: a file of the site's, never a part of the run's
configuration. All files that are found count, so that nobody who adds one can allow what another refuses."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import psutil
from pydantic import Field, ValidationError

from raygan.config.choices import ALGORITHMS, one_of
from raygan.config.loading import from_home, read_yaml
from raygan.config.mistakes import first_mistake
from raygan.config.numbers import Count, Positive
from raygan.config.schema import MaxLeakage, Section
from raygan.errors import ConfigError

VARIABLE = "RAYGAN_SITE_POLICY"
SYSTEM_FILE = Path("/etc/raygan/site-policy.yaml")
OF_A_USER = Path(".raygan/site-policy.yaml")
"""In the home folder that the machine has for the user, whatever `HOME` says."""


class Allow(Section):
    """What may be asked, by name."""

    algorithms: tuple[Annotated[str, one_of(ALGORITHMS)], ...] | None = None
    """Values of `algorithm`; None: all."""


class SitePolicy(Section):
    """A site's policy file. A key that is not given allows everything."""

    allow: Allow = Allow()
    minimum_cut: Annotated[int, Field(ge=0)] | None = None
    """The least h of D's head at clients here: extra blocks of D in front that images pass before anything crosses."""
    max_leakage: MaxLeakage | None = None
    """The run's `cuts.max_leakage` must be given, and ask for no more than this."""
    max_epsilon: Positive | None = None
    """The run's `privacy.dp` must be given, with this `epsilon` at most, and noise that no seed tells."""
    max_delta: Annotated[Positive, Field(lt=1)] = 1e-5
    """With `max_epsilon`: the largest `privacy.dp.delta`."""
    min_images: Count | None = None
    """The fewest training images of a client."""
    require: tuple[Literal["secure_aggregation", "hide_discriminator"], ...] = ()
    """Keys of the run's `privacy` that must be true."""
    log: str | None = None
    """A file that gets a line of JSON for whatever was allowed or refused; relative to the policy's folder. What cannot
    be written down is refused. None: none."""


@dataclass(frozen=True)
class PolicyFile:
    """A policy, and where it is."""

    path: Path
    rules: SitePolicy

    @property
    def log(self) -> Path | None:
        """The log's place."""
        return None if self.rules.log is None else self.path.parent / from_home(self.rules.log)


def site_policies() -> list[PolicyFile]:
    """All policies of the machine on which this is called; none: everything is allowed.

    Raises:
        ConfigError: a policy that cannot be read or is no policy; `where` is the file.
    """
    return [PolicyFile(path, _read(path)) for path in dict.fromkeys(_paths())]


def _paths() -> Iterator[Path]:
    yield from filter(_is_there, (SYSTEM_FILE, _home() / OF_A_USER))
    own = os.environ.get(VARIABLE)
    for given in dict.fromkeys((*([own] if own else []), *_of_ancestors())):
        path = from_home(given)
        if not path.is_absolute():
            raise ConfigError(given, f"{VARIABLE} is no whole path", "write it from / on")
        yield path


def _home() -> Path:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a user without an entry, as in some containers
        return Path("/")


def _is_there(path: Path) -> bool:
    """Also where it is not known, or a link leads nowhere: then it cannot be read, which is told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


@lru_cache(maxsize=1)
def _of_ancestors() -> tuple[str, ...]:
    """The variable as the processes above this one were started with it. A Ray worker's own environment may be the
    driver's (`runtime_env`); that of the node's raylet, its parent, is the site's."""
    found = []
    for process in psutil.Process().parents():
        try:
            found.append(process.environ().get(VARIABLE))
        except (psutil.Error, OSError):  # another user's
            continue
    return tuple(value for value in found if value)


def _read(path: Path) -> SitePolicy:
    settings = read_yaml(path)
    if not settings:
        raise ConfigError(str(path), "holds no rule", "write what is allowed, or remove the file")
    try:
        return SitePolicy(**settings)
    except ValidationError as error:
        mistake = first_mistake(error, SitePolicy)
        raise ConfigError(str(path), f"{mistake.where}: {mistake.found}", mistake.remedy) from None
    except TypeError:  # keys that are no words
        raise ConfigError(str(path), "a key is no word", "write keys as words, such as min_images") from None
