"""What `make lab` reads and writes notebooks with: one that is only opened stays as it is.

JupyterLab compares the language that a notebook names with that of the kernel, down to the number
of Python's version, and marks the notebook as modified where they differ. A committed notebook
names no version. So it gets this Python's when it is opened, and loses it again when it is saved.
"""

from __future__ import annotations

from typing import Any

from ipykernel.ipkernel import IPythonKernel
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from tools.execute import METADATA


class CommittedNotebooks(AsyncLargeFileManager):
    """The files of a folder; its notebooks speak this Python while they are open."""

    async def get(self, *args: Any, **options: Any) -> dict[str, Any]:
        """A file as it lies there; a notebook with the language of this kernel."""
        model = await super().get(*args, **options)
        set_language(model, IPythonKernel.language_info)
        return model

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Write a file; a notebook with the language that the repository has."""
        set_language(model, METADATA["language_info"])
        return await super().save(model, path)


def set_language(model: dict[str, Any], language: dict[str, Any]) -> None:
    """Enter the language in a model of a Python notebook; leave every other model alone."""
    if model["type"] != "notebook" or not model.get("content"):
        return
    metadata = model["content"]["metadata"]
    if metadata.get("language_info", {}).get("name") == "python":
        metadata["language_info"] = dict(language)
