"""Commands import a user's classes from the current folder, as `python` does."""

import subprocess
import sys
from pathlib import Path


def test_a_class_in_the_current_folder_is_found(tmp_path: Path):
    (tmp_path / "mine.py").write_text("class Model:\n    pass\n")
    code = "from farzi.cli import main; main()"
    words = ["distill", "--out", "out", "--student", "mine:Model"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "mine:Model" in done.stderr
    assert "cannot be imported" not in done.stderr
    assert not (tmp_path / "out").exists()
