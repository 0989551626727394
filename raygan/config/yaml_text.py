"""YAML as people mean it: `0777` and `1:30` are no octal and no sexagesimal numbers, and no key is given twice."""

from __future__ import annotations

import re
from typing import Any

import yaml

INT = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)$")
FLOAT = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9_]*)\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?$|[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$"
)
NUMBERS = {"tag:yaml.org,2002:int": INT, "tag:yaml.org,2002:float": FLOAT}


class RepeatedKeyError(yaml.YAMLError):
    """A key that stands twice in one mapping, where YAML's parsers would take the last and drop the first."""

    def __init__(self, key: Any, line: int) -> None:
        super().__init__(f"the key {key!r} is given twice")
        self.key, self.line = key, line


def from_yaml(text: str) -> Any:
    """The content of one document of plain values.

    Raises:
        RepeatedKeyError: a key is given twice; `line` is that of the second, from 1.
        yaml.YAMLError: and what else PyYAML raises for a text that is not YAML.
    """
    return _Loader(text).get_single_data()


class _Loader(yaml.SafeLoader):
    """As PyYAML's, which reads YAML 1.1, with the numbers of YAML 1.2 and without repeated keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        known: set[Any] = set()
        for name, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(name, yaml.ScalarNode) or name.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(name)
            if key in known:
                raise RepeatedKeyError(key, name.start_mark.line + 1)
            known.add(key)
        content: dict[Any, Any] = super().construct_mapping(node, deep)
        return content


_Loader.yaml_implicit_resolvers = {
    first: [(tag, NUMBERS.get(tag, pattern)) for tag, pattern in resolvers]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
