"""`python -m scripts.docs` writes the site's sources to build/docs; `make docs` then builds it."""

import sys
from pathlib import Path

from scripts.docs.stage import BrokenLink, stage

ROOT = Path(__file__).resolve().parents[2]

try:
    pages = stage(ROOT, ROOT / "build" / "docs")
except BrokenLink as error:
    sys.exit(f"make docs: {error}")
print(f"build/docs: {pages} pages")
