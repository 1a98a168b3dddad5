"""Statistics of batch norms, measured again for weights they were not trained with. Needs torch.

A batch norm keeps running statistics of the weights it just had. Averaged weights are others, and the average of the
statistics is not theirs either: after 50 steps on BreastMNIST it cost .09 of balanced accuracy, after 300 nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import medbench

BATCHES = 30  # with 64 rows each, a deviation is known to a few percent
BATCHES_TO_EVALUATE = 3  # before an evaluation on the validation samples that selects nothing


@torch.no_grad()
def recompute(network: nn.Module, batches: Iterable[tuple[torch.Tensor, ...]], *, seed: int) -> None:
    """Replace the running mean and variance of every batch norm by their mean over `batches`.

    Args:
        network: Its buffers are changed in place; in evaluation mode again afterwards if it was before.
        batches: What to call the network with, drawn and transformed like training; not drawn from where the network
            has no batch norm.
        seed: Of the network's own chance, such as dropout; the global random state is restored.

    Source:
        Izmailov et al., UAI 2018, arXiv 1803.05407, section 3 and algorithm 1, as ``torch.optim.swa_utils.update_bn``
        does it: one equally weighted mean over batches, the network in training mode.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    device = next(network.parameters()).device
    momenta, was_training = [norm.momentum for norm in norms], network.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network.train()
        for batch in batches:
            network(*batch)
        network.train(was_training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@contextmanager
def explain_small_batches(network: nn.Module, batch: int) -> Iterator[None]:
    """Turn torch's error for a batch norm that sees one value per channel into one that names the batch size.

    Raises:
        medbench.UsageError: In its place.
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise medbench.UsageError(
            f"budget.batch: got {batch}; in a batch norm of {type(network).__name__} that leaves one value a channel, "
            "which has no deviation; give batch=2 or more, or larger images."
        ) from None
