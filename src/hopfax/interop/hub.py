"""Models on the Hugging Face hub: the files of `hopfax.save_model`, no code. Needs huggingface_hub."""

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

CARD, RUN, METRICS = "README.md", "run.json", "metrics.jsonl"
SENT = (DESCRIPTION, WEIGHTS, RUN, METRICS, CARD)


def push_model(
    folder: str | Path,
    repository: str,
    *,
    private: bool = True,
    message: str = "Model of hopfax",
) -> str:
    """Send the model in `folder` to `repository` ("owner/name"), made if it is not there, and return its address.

    Sent are `model.json` and `weights.safetensors`, and of a run its `run.json` and `metrics.jsonl`; checkpoints are
    not. A `README.md` of the folder goes along, or one is written that says what the network is and how to load it.
    The account is that of `hf auth login` or the variable `HF_TOKEN`.

    Args:
        private: of a repository that is made; one that is there stays as it is.
    Raises: `ValueError` for a folder without a model, a name that is none, or where huggingface_hub is missing; what
        huggingface_hub raises where the hub refuses.
    """
    _check(repository)
    source, model = Path(folder), load_model(folder)
    api = _package().HfApi()
    with tempfile.TemporaryDirectory() as place:
        for name in SENT:
            if (source / name).is_file():
                shutil.copy(source / name, place)
        if not (source / CARD).is_file():
            (Path(place) / CARD).write_text(card(model, repository), encoding="utf-8")
        api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=place, commit_message=message)
    return f"https://huggingface.co/{repository}"


def pull_model(repository: str, *, revision: str | None = None) -> HAM | CHN:
    """The model in `repository`, "owner/name", downloaded into the cache of huggingface_hub unless it is there.

    Args: `revision` a branch, tag or commit; name a commit for the same weights tomorrow.
    Raises: `ValueError` for files that are no model, a name that is none, or where huggingface_hub is missing; what
        huggingface_hub raises where the hub refuses or cannot be reached.
    """
    _check(repository)
    wanted = [DESCRIPTION, WEIGHTS]
    return load_model(_package().snapshot_download(repository, revision=revision, allow_patterns=wanted))


def card(model: AbstractNetwork, repository: str) -> str:
    """A model card: what the network is, and how to load it."""
    layers = ", ".join(f"{name} {tuple(model.layers[name].shape)}" for name in model.order)
    return f"""---
library_name: hopfax
tags:
- hopfield-network
- associative-memory
- jax
---

A {type(model).__name__} of hopfax with the layers {layers}.

    import hopfax.interop.hub
    model = hopfax.interop.hub.pull_model("{repository}")
"""


def _check(repository: str) -> None:
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository):
        raise ValueError(f"`repository` {repository!r} must be owner/name, such as me/digits.")


def _package() -> Any:
    return needed("the hub needs huggingface_hub", "huggingface_hub")
