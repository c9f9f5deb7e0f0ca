"""The Hugging Face hub: folders that are uploaded to a repository, or downloaded from one.

`huggingface_hub` is imported when it is used. It finds the user's token, and keeps what was downloaded.
"""

import re
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from farzi.errors import FarziError

Kind = Literal["model", "dataset"]
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
"""`user/name`."""


def upload(
    folder: Path, repository: str, kind: Kind, private: bool | None, token: str | None, message: str
) -> str:
    """Upload a folder's files, in one commit, to a repository that is created if it is not there.

    Files of the same names are replaced there; others stay. Returns the address.

    Raises:
        FarziError: `huggingface_hub` is not installed, the name is none, or the hub refuses the upload.
    """
    if not REPOSITORY.fullmatch(repository):
        raise FarziError(f"{repository!r} is no name of a repository; give one such as me/name")
    hub = _hub()
    try:
        api = hub.HfApi(token=token)
        address = api.create_repo(repository, repo_type=kind, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, repo_type=kind, folder_path=str(folder), commit_message=message)
    except (OSError, ValueError) as error:  # those of huggingface_hub are of these kinds
        raise _refusal(repository, error) from error
    return str(address)


def download(repository: str, kind: Kind, revision: str | None, token: str | None) -> Path:
    """The folder of a repository's files in the user's cache, downloaded if they are not there.

    Raises:
        FarziError: `huggingface_hub` is not installed, or there is no such repository or no connection.
    """
    hub = _hub()
    try:
        return Path(hub.snapshot_download(repository, repo_type=kind, revision=revision, token=token))
    except (OSError, ValueError) as error:
        raise _refusal(repository, error) from error


def _hub() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError:
        raise FarziError("the Hugging Face hub needs huggingface_hub: pip install 'farzi[hub]'") from None


def _refusal(repository: str, error: Exception) -> FarziError:
    reason = " ".join(str(error).split())[:200]
    return FarziError(f"{repository}: the Hugging Face hub cannot be reached, or refuses it ({reason})")
