"""The reference of the command line, made from the commands themselves."""

import click

WIDTH = 96


def command_line() -> str:
    """One section per command: what it does, its usage, its options and their defaults."""
    from farzi.cli import app

    root = click.Context(app, info_name="farzi", max_content_width=WIDTH)
    return "\n".join(_section(app.commands[name], name, root) for name in app.list_commands(root))


def _section(command: click.Command, name: str, parent: click.Context, level: int = 2) -> str:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=WIDTH)
    lines = [f"{'#' * level} {context.command_path}", "", _text(command.help), ""]
    if isinstance(command, click.Group):
        lines += [
            _section(command.commands[name], name, context, level + 1)
            for name in command.list_commands(context)
        ]
        return "\n".join(lines)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines += ["```text", usage, "```", ""]
    rows = [row for parameter in command.get_params(context) if (row := _row(parameter, context))]
    return "\n".join([*lines, *_table(rows)])


def _table(rows: list[tuple[str, str, str]]) -> list[str]:
    """The lines of a table of options; without a column of defaults where no option has one."""
    width = 3 if any(default for _, _, default in rows) else 2
    cells = [("option", "meaning", "default")[:width], ("---",) * width, *(row[:width] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in cells] + [""] if rows else []


def _row(parameter: click.Parameter, context: click.Context) -> tuple[str, str, str] | None:
    """An option's names, meaning and default; None for arguments, which the usage shows, and for `--help`."""
    if not isinstance(parameter, click.Option) or parameter.hidden or "--help" in parameter.opts:
        return None
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    if not parameter.is_flag and not parameter.count:
        names += f" {_text(parameter.make_metavar(context))}"
    extra = parameter.get_help_extra(context)
    default = extra.get("default", "")
    return names, _text(parameter.help), f"`{_text(default)}`" if default else ""


def _text(text: str | None) -> str:
    """Text without click's marks and line ends, with what Markdown would read as its own escaped."""
    paragraphs = (text or "").replace("\b", "").replace("\f", "").strip().split("\n\n")
    plain = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return plain.replace("|", "\\|").replace("<", "&lt;")
