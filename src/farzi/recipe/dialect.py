"""The YAML that recipes are written in: PyYAML's, with the plain values of YAML 1.2.

PyYAML follows version 1.1, where `1e-5` is text, `no` is false, `010` is eight and `2020-01-01` is a date.
Here they are a number, text, ten and text. What is written is quoted wherever either version reads it as
something else.
"""

import re
from typing import Any

import yaml

_PLAIN = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", list("-+.0123456789")),
)


class Loader(yaml.SafeLoader):
    """Reads a recipe's YAML; use it through its nodes."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  (none of version 1.1's; PyYAML's own shape)


class _Dumper(yaml.SafeDumper):
    def represent_str(self, data: str) -> yaml.ScalarNode:
        """In double quotes where it has line breaks and the like: PyYAML loses U+0085 in single ones."""
        style = None if data.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


for _tag, _pattern, _first in _PLAIN:
    for _class in (Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Dumper.add_representer(str, _Dumper.represent_str)
Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


def dump(values: dict[str, Any]) -> str:
    """Plain values as YAML in the order given."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
