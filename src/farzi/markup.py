"""HTML and SVG, built from values that are always escaped.

`tag("td", name)` escapes `name`; only what `tag` made itself, a `Markup`, is taken as it is. Whatever
somebody wrote into the name of an item is shown, and is never part of a page's code.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from farzi.errors import visible

_EMPTY = frozenset({"meta", "link", "br", "input"})


class Markup(str):
    """Text that is HTML already."""


def text(value: object) -> Markup:
    """A value as HTML: control characters are visible, and `<`, `>`, `&` and quotes are escaped."""
    return value if isinstance(value, Markup) else Markup(html.escape(visible(value)))


def joined(parts: Iterable[object], between: str = "") -> Markup:
    """Several values as one, nested sequences and None included."""
    return Markup(text(between).join(_flat(parts)))


def tag(name: str, /, *children: object, **attributes: Any) -> Markup:
    """An element of HTML or SVG.

    Args:
        name: of the element.
        children: `Markup`, values that are escaped, or sequences of them; None is left out.
        attributes: by name, with `_` for `-` and at the end of Python's own words (`class_`). True stands for
            an attribute without a value; None and False leave it out.
    """
    given = (
        f" {key.strip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    start = f"<{name}{''.join(given)}>"
    return Markup(start if name in _EMPTY else f"{start}{joined(children)}</{name}>")


def table(
    columns: Sequence[object],
    rows: Iterable[Sequence[object]],
    caption: object = None,
    numbers: Iterable[int] = (),
    marked: Iterable[int] = (),
) -> Markup:
    """A table whose first column names its rows.

    Args:
        columns: the heads.
        rows: their cells.
        caption: what it shows.
        numbers: places of the columns that are aligned to the right.
        marked: places of the rows that are set off.
    """
    right, bold = set(numbers), set(marked)
    kinds = ["n" if place in right else None for place in range(len(columns))]
    heads = [tag("th", one, scope="col", class_=kind) for one, kind in zip(columns, kinds)]
    body = (
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            [tag("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:])],
            class_="marked" if place in bold else None,
        )
        for place, row in enumerate(rows)
    )
    return tag(
        "table",
        None if caption is None else tag("caption", caption),
        tag("thead", tag("tr", heads)),
        tag("tbody", list(body)),
    )


def _flat(parts: Iterable[object]) -> Iterable[Markup]:
    for part in parts:
        if isinstance(part, list | tuple):
            yield from _flat(part)
        elif part is not None:
            yield text(part)
