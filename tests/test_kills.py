"""A short form of `python -m scripts.kills`: what is killed ends as what is not, and leaves nothing."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
def test_killed_commands_end_like_uninterrupted_ones():
    words = [sys.executable, "-m", "scripts.kills", "--kills", "5", "--pairs", "2", "--seed", "3"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("5 kills, 2 pairs")
