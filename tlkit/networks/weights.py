"""Read the weights that a model starts from, from files of many kinds, and never run their code."""

import argparse
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from pickle import UnpicklingError

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

import tlkit.networks.small_xception  # noqa: F401  registers xception_small with timm
from tlkit.ground.alone import alone
from tlkit.ground.names import check_name

# Where checkpoints keep the weights; the averaged ones come first, as in timm.
NESTED = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")


def check_model(name: str) -> None:
    """Raise `UnknownName` unless timm has this model, and these weights after the dot."""
    check_name("model", name, [*timm.list_models(), *timm.list_models(pretrained=True)])


def weights_file(init: str, model: str) -> Path | None:
    """Return the file that `init` means: a path, or "pretrained" if the kit has these weights."""
    card = timm.get_pretrained_cfg(model, allow_unregistered=True)
    if init in ("pretrained", "random"):  # a file of this name is ./pretrained
        init = (card.file if card and init == "pretrained" else None) or ""
    path = Path(os.path.expanduser(init))
    return path if path.is_file() else None


def read_weights(init: str, model: str) -> dict[str, Tensor]:
    """Read the state tensors of `model`: from a file, or for "pretrained" those of timm.

    A file may be a checkpoint that holds the weights under another name or behind a prefix.
    Raises FileNotFoundError if they are neither here nor can be downloaded, `UnknownName` for an
    unknown model, and ValueError for a file that does not hold weights, or more than weights.
    """
    check_model(model)
    path = weights_file(init, model)
    if path is not None:
        return _without_prefix(_tensors(_read(path), path), model, path)
    if init != "pretrained":
        raise FileNotFoundError(
            f"no weights at {Path(os.path.expanduser(init)).resolve()}; init is 'random', "
            "'pretrained', a file or a Run"
        )
    if not timm.get_pretrained_cfg(model).has_weights:
        raise FileNotFoundError(
            f"timm has no pretrained weights for {model}; give init='random', or a file"
        )
    try:
        with alone():  # it draws random weights first
            return timm.create_model(model, pretrained=True).state_dict()
    except (OSError, RuntimeError) as problem:
        raise FileNotFoundError(
            f"no pretrained weights for {model} here ({problem}); connect to the network "
            f"once, or give init=<path of a .safetensors or .pth file>"
        ) from problem


def _read(path: Path) -> object:
    """Return what a weights file holds; its beginning tells the kind, whatever its name is."""
    with path.open("rb") as file:
        start = file.read(256)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"version https://git-lfs"):
        raise ValueError(f"{path} is a Git LFS pointer, not the weights: run `git lfs pull`")
    if text.startswith(b"<"):
        raise ValueError(f"{path} is a web page, not weights: download the file itself")
    known = hasattr(torch.serialization, "safe_globals")  # since torch 2.5
    harmless = torch.serialization.safe_globals([argparse.Namespace]) if known else nullcontext()
    try:
        if start[8:9] == b"{":
            return load_file(path)
        with harmless, path.open("rb") as file:  # timm's own checkpoints hold such a namespace
            return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as problem:
        if start.startswith((b"PK", b"\x80")):
            raise ValueError(
                f"{path} holds more than tensors, and could run code of others, so it is not "
                "read; store the weights alone: torch.save(model.state_dict(), path)"
            ) from problem
        raise ValueError(f"{path} is not a .safetensors or .pth file of weights") from problem
    except (SafetensorError, RuntimeError, ValueError, EOFError, KeyError) as problem:
        raise ValueError(f"{path} is damaged or holds no weights ({problem})") from problem


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, wherever in it they are."""
    while isinstance(content, Mapping):
        inside = [name for name in content if isinstance(content[name], Mapping)]
        nested = [name for name in NESTED if name in inside and content[name]]
        tensors = {name: each for name, each in content.items() if torch.is_tensor(each)}
        if not nested and tensors:
            return tensors
        others = [name for name in inside if any(map(torch.is_tensor, content[name].values()))]
        if not nested and len(others) != 1:
            break
        content = content[(nested or others)[0]]
    raise ValueError(
        f"{path} holds no weights by name, as torch.save(model.state_dict(), path) does"
    )


def _without_prefix(weights: dict[str, Tensor], model: str, path: Path) -> dict[str, Tensor]:
    """Return the tensors without what wrappers put before their names, such as "module."."""
    own = _names(model)
    prefixes: Counter[str] = Counter()
    for name in weights:
        parts = name.split(".")
        prefixes.update(
            ".".join([*parts[:i], ""]) for i in range(len(parts)) if ".".join(parts[i:]) in own
        )
    likely = prefixes.most_common(2)
    if len(likely) == 2 and likely[0][1] == likely[1][1] > len(own) / 2:
        raise ValueError(
            f"{path} holds two sets of weights, {likely[0][0]!r} and {likely[1][0]!r}; store one"
        )
    prefix = likely[0][0] if likely else ""
    return {
        name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)
    }


@cache
def _names(model: str) -> frozenset[str]:
    """Return the names of the state tensors of a model."""
    with alone():
        try:
            with torch.device("meta"):
                return frozenset(timm.create_model(model).state_dict())
        except (RuntimeError, NotImplementedError):  # older versions of timm compute on the way
            return frozenset(timm.create_model(model).state_dict())
