"""Pretrained weights: read from a file that is there, fitted to a network, and fetched beforehand on request."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

import medbench

if TYPE_CHECKING:
    import torch
    from torch import nn

Rename = Callable[[dict[str, "torch.Tensor"], "nn.Module"], dict[str, "torch.Tensor"]]
UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, KeyError, ImportError, AttributeError, UnpicklingError)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise _unreadable(path) from None


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors by name from a safetensors file or a PyTorch checkpoint; code in a checkpoint is never run.

    Args:
        path: ``.safetensors``; any other suffix is a checkpoint with tensors at its top or under "state_dict" or
            "model". A leading "module." of all names is dropped.

    Raises:
        medbench.DataError: If the file is missing, of another kind, damaged, or holds no tensors, or one of them holds
            NaN or infinity.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        is_safetensors = path.suffix == ".safetensors"
        content: Any = load_file(path) if is_safetensors else torch.load(path, map_location="cpu", weights_only=True)
    except (*UNREADABLE, SafetensorError):
        raise _unreadable(path) from None
    for name in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    tensors = {k: v for k, v in content.items() if isinstance(v, torch.Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise medbench.DataError(f"{path} holds no tensors by name; give a safetensors file or a saved state_dict")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise medbench.DataError(f"{path}: tensor {name} holds NaN or infinity; get the file again")
    return tensors


def load(
    network: nn.Module,
    path: Path,
    *,
    head: tuple[str, ...] = (),
    rename: Rename | None = None,
) -> nn.Module:
    """Put a file's weights into `network` and return it.

    Args:
        network: Changed in place.
        path: As for :func:`read_bundle`.
        head: As for :func:`insert`.
        rename: Turns the file's names into the network's, where its library has such a function.

    Raises:
        medbench.DataError: As for :func:`read_bundle` and :func:`insert`; the message names the file.
    """
    return insert(network, read_for(network, path, rename), what=str(path), head=head)


def read_for(network: nn.Module, path: Path, rename: Rename | None) -> dict[str, torch.Tensor]:
    """Read a file's tensors under the names that they have in `network`; arguments and errors as for :func:`load`."""
    tensors = read(path)
    if rename is None:
        return tensors
    try:
        return rename(tensors, network)
    except UNREADABLE:
        raise medbench.DataError(
            f"{path} holds weights of another network than {name_network(network)}; give its own"
        ) from None


def name_network(network: nn.Module) -> str:
    """Return what timm calls a network, or the name of its class."""
    config = getattr(network, "pretrained_cfg", None) or {}
    return str(config.get("architecture") or type(network).__name__)


def insert(network: nn.Module, tensors: Mapping[str, Any], *, what: str, head: tuple[str, ...] = ()) -> nn.Module:
    """Put tensors or arrays into the network by name and return it.

    The head keeps its initial weights where shapes differ, but for its last layer, which then begins at zero: what a
    library draws for a thousand classes gives logits of tens for two. The first convolution is adapted to the number of
    channels: every channel gets the sum over the given channels divided by the number wanted, so that a gray image
    causes the response it caused as three equal channels.

    Args:
        network: Changed in place.
        tensors: Tensors or arrays by name, as in a ``state_dict``.
        what: Their name in an error.
        head: Beginnings of the names that make the head; empty for the module of the last parameter.

    Raises:
        medbench.DataError: If outside the head a tensor is missing, too many, or of another shape.

    Source:
        A new last layer of zeros: Kolesnikov et al., "Big Transfer", ECCV 2020, arXiv 1912.11370, appendix.
    """
    import torch
    from torch import nn

    own = network.state_dict()
    head = name_head(network, head)
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)  # a transformer's class token, too, has three axes
    stem = next((f"{name}.weight" for name, part in network.named_modules() if isinstance(part, convolutions)), "")
    optional = (*head, *(name for name in (*own, *tensors) if name.endswith("num_batches_tracked")))
    fitting = {}
    for name, tensor in (
        (n, torch.as_tensor(np.array(t)) if isinstance(t, np.ndarray) else t) for n, t in tensors.items()
    ):
        if name == stem and name in own and tensor.ndim == own[name].ndim:
            channels = own[name].shape[1]
            if tensor.shape[1] != channels:
                tensor = (tensor.sum(1, keepdim=True) / channels).expand(-1, channels, *tensor.shape[2:])
        if name in own and own[name].shape == tensor.shape:
            fitting[name] = tensor
        elif not name.startswith(optional):
            found = (
                f"{tuple(tensor.shape)} where the network has {tuple(own[name].shape)}" if name in own else "too many"
            )
            raise medbench.DataError(f"{what}: tensor {name} is {found}; give weights of this very network")
    for name in own:
        if name not in fitting and not name.startswith(optional):
            raise medbench.DataError(f"{what}: tensor {name} of the network is missing; give weights of this network")
    last = name_head(network)
    fitting |= {name: torch.zeros_like(own[name]) for name in own if name not in fitting and name.startswith(last)}
    network.load_state_dict(fitting, strict=False)
    return network


def name_head(network: nn.Module, head: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the beginnings of the names that make the head: `head`, or the module of the last parameter."""
    return head or (next(reversed(dict(network.named_parameters()))).rpartition(".")[0] + ".",)


def build_from(
    build: Callable[[], nn.Module],
    *,
    pretrained: Path | None,
    start: medbench.State | None,
    head: tuple[str, ...] = (),
    rename: Rename | None = None,
) -> tuple[Callable[[], nn.Module], dict[str, str]]:
    """Return `build` with the weights it begins from put in, and what to record of them.

    Args:
        build: Makes the network with its own initial weights.
        pretrained: A file of weights; its SHA-256 becomes the fact "pretrained".
        start: Arrays by name from another fit; they win over the file.
        head: As for :func:`insert`.
        rename: As for :func:`load`.
    """

    def build_and_load() -> nn.Module:
        network = build()
        if pretrained is not None:
            load(network, pretrained, head=head, rename=rename)
        return network if start is None else insert(network, start, what="the state to start from", head=head)

    return build_and_load, {} if pretrained is None else {"pretrained": sha256(pretrained)}


def fetch_timm(model: str, folder: Path) -> Path:
    """Download the weights that timm publishes for `model`, ahead of any trial.

    Args:
        model: A name timm knows, with or without a tag ("vgg16", "vgg16.tv_in1k").
        folder: Made where it is missing. The hub's address may be set by HF_ENDPOINT.

    Returns:
        ``<folder>/<model>.safetensors``; a file that is already there is left as it is.

    Raises:
        medbench.UsageError: If timm publishes no weights for the model.
        medbench.ResourceError: If they cannot be downloaded.
    """
    import timm

    config, target = timm.get_pretrained_cfg(model), folder / f"{model}.safetensors"
    if target.is_file():
        return target
    if config is None or config.custom_load or not (config.hf_hub_id or config.url):
        raise medbench.UsageError(
            f"timm publishes no weights for {model} that can be fetched; name a file by pretrained="
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        if config.hf_hub_id:
            found = _from_hub(config.hf_hub_id, config.hf_hub_filename or "model.safetensors", Path(scratch))
        else:
            found = _from_url(config.url, Path(scratch))
        if found.suffix != ".safetensors":
            from safetensors.torch import save_file

            tensors = {name: tensor.contiguous().clone() for name, tensor in read(found).items()}
            found = Path(scratch) / "converted.safetensors"
            save_file(tensors, found)
        os.replace(found, target)
    return target


def _from_hub(repository: str, filename: str, scratch: Path) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name, _, revision = repository.partition("@")
    try:
        found = hf_hub_download(
            name, filename, revision=revision or None, local_dir=scratch, endpoint=os.environ.get("HF_ENDPOINT")
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError):
        raise _unreachable(f"{filename} of {name}") from None
    return Path(found)


def _from_url(url: str, scratch: Path) -> Path:
    import pooch

    name = url.rpartition("/")[2]
    try:
        # The first digits of the checksum are part of the name of most such files, not all of it: timm checks those.
        found = Path(pooch.retrieve(url, known_hash=None, fname=name, path=scratch, progressbar=False))
    except (OSError, ValueError):
        raise _unreachable(name) from None
    digits = found.stem.rpartition("-")[2]
    if len(digits) == 8 and all(c in "0123456789abcdef" for c in digits) and not sha256(found).startswith(digits):
        raise medbench.ResourceError(f"{name} arrived damaged: its checksum does not begin with {digits}; try again")
    return found


def _unreadable(path: Path) -> medbench.DataError:
    return medbench.DataError(
        f"{path} cannot be read as weights; give an existing .safetensors file or a PyTorch checkpoint of plain tensors"
    )


def _unreachable(what: str) -> medbench.ResourceError:
    return medbench.ResourceError(f"{what} could not be downloaded; check the network, or HF_ENDPOINT for a mirror")
