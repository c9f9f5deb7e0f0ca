"""The site's sources: links stay whole, generated parts are filled in, nothing comes from elsewhere."""

from pathlib import Path

import pytest

from scripts.docs.stage import BrokenLink, stage


def write(root: Path, pages: dict[str, str]) -> None:
    for name, text in {"CHANGELOG.md": "# Changelog\n", **pages}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_linked_files_come_along_and_links_lead_to_them(tmp_path: Path):
    root, site = tmp_path / "root", tmp_path / "site"
    write(
        root,
        {
            "docs/page.md": "[a](../results/a/README.md#end), [b](../run.py), [c](../README.md), "
            "[d](../recipes)\n",
            "results/a/README.md": '<img src="plot.png"> [back](../../docs/page.md)\n\n'
            "```\n[x](nowhere)\n```\n",
            "results/a/plot.png": "",
            "run.py": "",
            "recipes/one.yaml": "",
            "README.md": "# Root\n",
            "docs/index.md": "# Start\n",
        },
    )
    assert stage(root, site) == 5
    page = (site / "page.md").read_text()
    assert page == "[a](results/a/index.md#end), [b](run.py), [c](index.md), [d](recipes/index.md)\n"
    assert "[back](../../page.md)" in (site / "results" / "a" / "index.md").read_text()
    assert "[one.yaml](one.yaml)" in (site / "recipes" / "index.md").read_text()
    for name in ("results/a/plot.png", "run.py", "recipes/one.yaml", "changelog.md", "index.md"):
        assert (site / name).is_file()


def test_a_link_to_a_missing_file_is_an_error(tmp_path: Path):
    write(tmp_path / "root", {"docs/page.md": "[a](nowhere.md)\n"})
    with pytest.raises(BrokenLink, match=r"docs/page\.md: no such file: nowhere\.md"):
        stage(tmp_path / "root", tmp_path / "site")


def test_generated_parts_are_filled_in(tmp_path: Path):
    write(
        tmp_path / "root",
        {"docs/page.md": "<!-- generated: command line -->\n\n<!-- generated: recipe -->\n"},
    )
    stage(tmp_path / "root", tmp_path / "site")
    page = (tmp_path / "site" / "page.md").read_text()
    assert "## farzi distill" in page
    assert "| `--out` " in page
    assert "## `inner`" in page
    assert "| `steps` |" in page
