"""A run's page: `report.html`, one file that needs neither a network nor another file."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from farzi.errors import FarziError, visible
from farzi.files import locked, sha256, write_text_atomic
from farzi.markup import Markup, joined, table, tag
from farzi.progress import Progress, counted
from farzi.report import explorer, sections
from farzi.report.reading import Shown, other_version, read_run
from farzi.report.updated import update
from farzi.summary import REPORT, recorded_sum

MACHINE = ("command", "date", "farzi", "commit", "machine", "python", "torch", "device", "threads")
"""What of `run.json` and `comparison.json` the page shows."""


def write_report(
    folder: str | Path, out: str | Path | None = None, others: tuple[str | Path, ...] = ()
) -> Path:
    """Write the page of a summary and its comparison: `report.html` in its folder, which joins its checksums.

    Args:
        folder: the summary's.
        out: another place to write to; the folder stays as it is.
        others: folders of other compared summaries of the same data, for the frontier.

    Returns:
        Where the page is.

    Raises:
        FarziError: the folder holds no finished summary, a file is damaged, the comparisons do not fit each
            other, or another process is at work in the folder.
        OSError: the page cannot be written.
    """
    together = (str(folder), *map(str, others)) if others else ()
    text = page(read_run(folder, together))
    if out is not None:
        write_text_atomic(out, text)
        return Path(out)
    with locked(folder):
        path = Path(folder) / REPORT
        recorded_sum(folder, REPORT, None)  # a page that does not fit its checksum is never there
        write_text_atomic(path, text)
        recorded_sum(folder, REPORT, sha256(path))
    return path


def write_page(folder: str | Path, progress: Progress, again: bool = True) -> None:
    """Write the page at the end of another command, whose results are stored already: failing is no error.

    Args:
        folder: the summary's.
        progress: receives a warning.
        again: replace a page that is there.
    """
    if not again and (Path(folder) / REPORT).exists():
        return
    try:
        write_report(folder)
    except (FarziError, OSError) as error:
        progress.warning(f"{REPORT} was not written ({error}); `farzi report {folder}` writes it")


def page(run: Shown) -> str:
    """The page of a finished run; errors as `parts`."""
    tensors, source = run.summary.tensors, run.summary.recipe.source
    title = f"{counted(tensors.sequences, 'synthetic sequence')} distilled from {source}"
    return document(title, parts(run), run.name)


def parts(run: Shown) -> list[Markup]:
    """The sections of the page of a finished run.

    Raises:
        FarziError: its comparison or its run.json lacks something, or the other summaries do not fit it.
    """
    try:
        return [
            sections.headline(run),
            sections.story(run),
            sections.comparison(run),
            update(run),
            sections.curves(run),
            sections.frontier(run),
            sections.cost(run),
            explorer.sequences(run),
            explorer.item_map(run),
            explorer.nearness(run),
            provenance(run),
        ]
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        StopIteration,
        ZeroDivisionError,
    ) as error:
        raise other_version(run.name, error) from error


def provenance(run: Shown) -> Markup:
    """Data, recipe, machine, versions and files."""
    facts = run.summary.run
    recipe: dict[str, Any] = run.summary.recipe.model_dump(mode="json")
    data = {
        "data": run.summary.recipe.source,
        "file": recipe["data"].get("file"),
        "data_sha256": facts.get("data_sha256"),
    }
    rows = {**data, **{name: facts.get(name) for name in MACHINE}}
    shown = [_fact(name, value) for name, value in rows.items() if value is not None]
    sessions = [
        tag(
            "li", f"from outer step {one.get('outer_step')}: {one.get('machine')}, PyTorch {one.get('torch')}"
        )
        for one in facts.get("sessions", [])[1:]
    ]
    compared = [_fact(name, run.facts[name]) for name in MACHINE if run.facts.get(name) is not None]
    sums = table(
        ("file", "SHA-256"), [(name, tag("code", one)) for name, one in run.sums.items() if name != REPORT]
    )
    return sections.section(
        "Provenance",
        tag("h3", "Distillation"),
        tag("dl", shown, class_="facts"),
        [tag("p", "It was resumed:"), tag("ul", sessions)] if sessions else None,
        [tag("h3", "Comparison"), tag("dl", compared, class_="facts")] if compared else None,
        tag(
            "details",
            tag("summary", "Recipe, every setting"),
            tag("pre", _lines(run.summary.recipe.to_yaml()), tabindex=0),
        ),
        tag("details", tag("summary", "Files and checksums"), sections.scrolling(sums, "Files")),
    )


def _fact(name: str, value: object) -> Markup:
    return tag("div", tag("dt", name.replace("_", " ")), tag("dd", value))


def _lines(words: str) -> Markup:
    """Text of several lines; control characters in it are visible."""
    return joined([visible(line) for line in words.split("\n")], "\n")


def document(title: str, content: list[Markup], name: str, live: bool = False) -> str:
    """A whole page: its style and script are in it, and its policy lets nothing else be loaded.

    Args:
        title: its heading.
        content: its parts; sections with an `id` are listed at the top.
        name: of the run's folder.
        live: whether it is served by `farzi watch`, and asks there for what is new.
    """
    style, script = asset("page.css"), asset("page.js") + (asset("watch.js") if live else "")
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'" + ("; connect-src 'self'" if live else "")
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{title} · Farzi"),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        tag(
            "header",
            tag("p", f"Farzi · {name}", class_="kicker"),
            tag("h1", title),
            None if live else _contents(content),
        ),
        tag("main", content, id="content", tabindex=-1),
        tag(
            "footer",
            tag("p", "Written by Farzi from the files of this folder. It loads nothing from elsewhere."),
        ),
        tag("script", Markup(script)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _digest(text: str) -> str:
    """How a policy names the one style, or the one script, that it lets run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _contents(content: list[Markup]) -> Markup:
    """Links to the sections."""
    found = [re.match(r'<section id="([a-z-]+)"[^>]*><h2[^>]*>([^<]+)</h2>', part) for part in content]
    links = [tag("li", tag("a", one[2], href=f"#{one[1]}")) for one in found if one]
    return tag("nav", tag("ul", links), aria_label="Sections")


@cache
def asset(name: str) -> str:
    """A file of this package: the style, or a script."""
    return files("farzi.report").joinpath(name).read_text("utf-8")
