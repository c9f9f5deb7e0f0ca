"""What an unknown key of a recipe was probably meant to be."""

import difflib

from farzi.recipe.models import Recipe, Settings
from farzi.recipe.paths import Keys, dotted, groups
from farzi.recipe.wording import shown


def explain_unknown(name: str, model: type[Settings], path: Keys) -> str:
    """One line for a key that the group `model`, at `path`, does not have, with the nearest known ones."""
    everywhere = [(*group, field) for group, members in groups(Recipe) for field in members.model_fields]
    if tuple(name.split(".")) in everywhere:
        group, _, rest = name.partition(".")
        return f"unknown key {shown(name)}; write '{group}:' and, on the next line, indented, '{rest}:'"
    near = _nearest(name, path, everywhere)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known here: {', '.join(model.model_fields)}"
    return f"unknown key {dotted((*path, name))}; {hint}"


def _nearest(name: str, path: Keys, everywhere: list[Keys]) -> list[str]:
    """The same name in another group, else a near one in this group, else near ones anywhere."""
    word = name.lower().replace("-", "_")
    here = [known for known in everywhere if known[:-1] == path]
    for candidates, wanted in (
        (everywhere, [word]),
        (here, difflib.get_close_matches(word, [known[-1] for known in here], n=1)),
        (everywhere, difflib.get_close_matches(word, [known[-1] for known in everywhere], n=1)),
    ):
        found = [dotted(known) for known in candidates if known[-1] in wanted]
        if found:
            return found
    return []
