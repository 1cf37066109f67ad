"""Models on the Hugging Face hub, as the files of `hopfax.save_model` and without code. Needs huggingface_hub."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from .._internal.optional import needed
from ..networks.chn import CHN
from ..networks.files import DESCRIPTION, WEIGHTS, load_model
from ..networks.ham import HAM
from ..networks.network import AbstractNetwork
from ..training.job import METRICS, RESULT

CARD = "README.md"
UPLOADED = (DESCRIPTION, WEIGHTS, RESULT, METRICS, CARD)


def push_model(
    folder: str | Path,
    repository: str,
    *,
    private: bool = True,
    message: str = "hopfax model",
) -> str:
    """Upload the model in `folder` to `repository` ("owner/name") and return its address.

    The repository is created if it does not exist. Uploaded are `model.json`, `weights.safetensors`, the `run.json`
    and `metrics.jsonl` of a run, and `README.md`; checkpoints are not. If the folder has no `README.md`, a model card
    is written that says what the network is and how to load it. The account is that of `hf auth login` or of the
    environment variable `HF_TOKEN`.

    Args:
        folder: the folder of a run or of `hopfax.save_model`.
        repository: its name on the hub.
        private: whether a new repository is private; an existing one is not changed.
        message: the commit message.
    Raises: `ValueError` for a folder without a model or a malformed name; `ImportError` without huggingface_hub, and
        the errors of huggingface_hub.
    """
    _check(repository)
    source, model = Path(folder), load_model(folder)
    api = _package().HfApi()
    with tempfile.TemporaryDirectory() as upload:
        for name in UPLOADED:
            if (source / name).is_file():
                shutil.copy(source / name, upload)
        if not (source / CARD).is_file():
            (Path(upload) / CARD).write_text(card(model, repository), encoding="utf-8")
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=upload, commit_message=message)
    return f"https://huggingface.co/{repository}"


def pull_model(repository: str, *, revision: str | None = None) -> HAM | CHN:
    """The model in `repository` ("owner/name"), downloaded into the cache of huggingface_hub unless it is there.

    Args:
        repository: its name on the hub.
        revision: a branch, tag or commit; only a commit always gives the same weights.
    Raises: `ValueError` for files that are not a model or a malformed name; `ImportError` without huggingface_hub,
        and the errors of huggingface_hub.
    """
    _check(repository)
    names = [DESCRIPTION, WEIGHTS]
    return load_model(_package().snapshot_download(repository, revision=revision, allow_patterns=names))


def card(model: AbstractNetwork, repository: str) -> str:
    """A model card in Markdown: what the network is and how to load it."""
    layers = ", ".join(f"{name} {tuple(model.layers[name].shape)}" for name in model.order)
    return f"""---
library_name: hopfax
tags:
- hopfield-network
- associative-memory
- jax
---

A {type(model).__name__} with the layers {layers}, made with hopfax.

    import hopfax.interop.hub
    model = hopfax.interop.hub.pull_model("{repository}")
"""


def _check(repository: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository):
        raise ValueError(f"`repository` {repository!r} must be owner/name, such as me/digits.")


def _package() -> Any:
    return needed("the hub needs huggingface_hub", "huggingface_hub", "'hopfax[hub]'")
