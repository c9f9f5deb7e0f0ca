"""Run the notebooks of `examples/notebooks` from their first cell to the last.

`python -m scripts.notebooks` writes their outputs into them; with `--check` they stay as they are, and only
must not fail. Each runs in a folder of its own, which is removed.
"""

import argparse
import re
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parents[1] / "examples" / "notebooks"
SECONDS = 600
"""A cell that takes longer has failed."""


def run(path: Path) -> NotebookNode:
    """The notebook with the outputs of this run.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook,
            timeout=SECONDS,
            kernel_name="python3",
            resources=resources,
            extra_arguments=["--log-level=ERROR"],  # else it warns of its own connection
        ).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # when each cell ran: another at every run
            for output in cell.get("outputs", []):
                if output.output_type == "stream":
                    text = shown(output.text).replace(folder + "/", "")
                    output.text = re.sub(r"\S*/ipykernel_\d+/\d+\.py", "cell", text)
    return notebook


def shown(text: str) -> str:
    """What a terminal would show of it: a carriage return starts the line again."""
    return re.sub(r"[^\n]*\r(?!\n)", "", text)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="leave the files as they are")
    parser.add_argument("names", nargs="*", help="some of them, without .ipynb")
    args = parser.parse_args()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if args.names and path.stem not in args.names:
            continue
        begin = time.monotonic()
        notebook = run(path)
        if not args.check:
            nbformat.write(notebook, path)
        print(f"{path.name}: {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
