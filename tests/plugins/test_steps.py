"""A step over fixed buffers: the bits of the plain loop, and what of it a GPU replays."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from _plain_loops import plain_classifier, plain_diffusion, plain_feature_gan, plain_gan, plain_unet
from medbench.interfaces import Budget
from medbench.registry import plugins
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.executors import torch_state
from medbench_plugins.networks.small import SmallCNN
from medbench_plugins.networks.unet import build_unet
from medbench_plugins.training import steps as steps_module
from medbench_plugins.training.bagging import fit_network
from medbench_plugins.training.batches import free_bytes, put_on_device
from medbench_plugins.training.steps import CAPTURED, NOTE, Steps, at_step, note_how, step_number

CATALOGUE = plugins.load(installed=False)


def same(network: nn.Module, expected: dict[str, torch.Tensor]) -> bool:
    state = network.state_dict()
    return bool(expected) and all(torch.equal(state[name], value) for name, value in expected.items())


@pytest.mark.parametrize("augmenter", ["none", "geometric", "geometric[policy=spine-hybrid]", "randaugment", "mixup"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_classifier_has_the_bits_of_the_plain_loop(context: SandboxContext, augmenter: str, dimensions: int) -> None:
    context.budget = Budget(steps=6, batch=5)
    samples = toy_samples(20, dimensions=dimensions)
    training_set = CATALOGUE.resolve("augmenter", augmenter).fit(samples, context)
    build = partial(SmallCNN, 1, 2, width=8, spatial_dims=dimensions)

    fitted = fit_network(build, training_set, samples.take([]), context, lr=3e-3)

    assert same(fitted.network, plain_classifier(build, training_set, context, 3e-3))
    assert "gpu_steps" not in fitted.facts


@pytest.mark.parametrize(("channels", "dimensions"), [(1, 2), (3, 2), (2, 3)])
def test_images_kept_as_floats_and_numbers_drawn_ahead_change_no_bit(
    context: SandboxContext, monkeypatch: pytest.MonkeyPatch, channels: int, dimensions: int
) -> None:
    context.budget = Budget(steps=6, batch=5)
    samples = toy_samples(20, dimensions=dimensions, channels=channels)
    training_set = CATALOGUE.resolve("augmenter", "geometric").fit(samples, context)
    build = partial(SmallCNN, channels, 2, width=8, spatial_dims=dimensions)
    seen: list[torch.Tensor] = []

    def fit() -> np.ndarray:
        before = SmallCNN.forward
        note = lambda self, x: seen.append(x) or before(self, x)  # noqa: E731
        monkeypatch.setattr(SmallCNN, "forward", note)
        fitted = fit_network(build, training_set, samples.take([]), context)
        monkeypatch.setattr(SmallCNN, "forward", before)
        return fitted(samples.x)

    kept = fit()
    monkeypatch.setattr("medbench_plugins.training.batches.AS_FLOATS", 0)
    monkeypatch.setattr("medbench_plugins.training.batches.MOST_DRAWN", 0)
    made = fit()

    assert np.array_equal(kept, made)
    half = len(seen) // 2
    assert half > 6
    for one, other in zip(seen[:half], seen[half:], strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


VIEWS = {"view", "select", "slice", "unsqueeze", "permute", "transpose", "t", "detach", "expand", "split", "unbind",
         "_unsafe_view", "as_strided", "alias"}  # fmt: skip


class Operations(TorchDispatchMode):
    """Counts what torch computes; views of what is there cost no kernel."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ not in VIEWS
        return func(*args, **(kwargs or {}))


class CountsAStep(SandboxContext):
    """A context that counts the operations of the seventh step, of which no loss is read."""

    counting: Operations

    def progress(self, step: int, total: int, **values: float) -> None:
        if step == 6:
            self.counting = Operations()
            self.counting.__enter__()
        elif step == 7:
            self.counting.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("augmenter", "more"), [("none", 12), ("geometric", 26), ("geometric[policy=spine-hybrid]", 24)]
)
def test_a_step_has_few_operations_beside_the_networks_own(tmp_path: Path, augmenter: str, more: int) -> None:
    """On a GPU each is a kernel, and a step of a small network is as long as it has kernels."""
    samples = toy_samples(20, size=32)
    network, x, y = SmallCNN(1, 2), torch.rand(8, 1, 32, 32), torch.eye(2)[torch.arange(8) % 2]
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    for _ in range(2):  # the first one makes the optimiser's state
        with Operations() as bare:
            loss = torch.nn.functional.cross_entropy(network(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    context = CountsAStep(tmp_path, Budget(steps=40, batch=8))

    fit_network(
        partial(SmallCNN, 1, 2),
        CATALOGUE.resolve("augmenter", augmenter).fit(samples, context),
        samples.take([]),
        context,
    )

    assert 40 < bare.count < context.counting.count <= bare.count + more


def test_a_gpu_is_filled_within_the_limit_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (900, 1000))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 0.25)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 50)

    assert free_bytes(torch.device("cuda:0")) == 200  # a quarter of the card less what is taken
    assert put_on_device(np.zeros((2, 1, 10, 10), np.uint8), torch.device("cuda:0")) is None


@pytest.mark.parametrize("generator", ["acgan", "reacgan", "wgan-gp", "acgan[augment=true]"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_gan_has_the_bits_of_the_plain_loop(context: SandboxContext, generator: str, dimensions: int) -> None:
    from medbench_plugins.generators.image_gans.loop import shows_changed_images, train_gan

    context.budget = Budget(generator_steps=4)
    recipe = replace(CATALOGUE.resolve("generator", generator), batch=6, batch_3d=4, width=8)
    samples = toy_samples(14, dimensions=dimensions, size=16)
    game = replace(recipe.game(), split="conditional", checkpoint="last")
    game = replace(game, augment=shows_changed_images(game, samples, 4))

    [trained] = train_gan(recipe, game, samples, context)

    shown = SimpleNamespace(**{name: getattr(recipe, name) for name in recipe.__dataclass_fields__}, game=lambda: game)
    assert same(trained.network, plain_gan(shown, samples, context))
    assert not (context.folder / NOTE).exists()


def test_a_diffusion_model_has_the_bits_of_the_plain_loop(context: SandboxContext) -> None:
    from medbench_plugins.generators.diffusion_loop import train_diffusion

    context.budget = Budget(generator_steps=3)
    recipe = replace(CATALOGUE.resolve("generator", "diffusion"), batch=4, width=8)
    samples = toy_samples(12, size=16)

    trained = train_diffusion(recipe, samples, context)

    assert same(trained.network, plain_diffusion(recipe, samples, context))


@pytest.mark.parametrize(("name", "shape"), [("map-acgan", (4, 3, 3)), ("clswgan", (16,))])
def test_a_gan_of_features_has_the_bits_of_the_plain_loop(
    context: SandboxContext, name: str, shape: tuple[int, ...]
) -> None:
    from medbench_plugins.generators.feature_gans.loop import train_dense_gan

    context.budget = Budget(generator_steps=5)
    features = np.random.default_rng(0).normal(size=(40, *shape)).astype(np.float32)
    samples = replace(toy_samples(40), x=features)
    recipe = CATALOGUE.resolve("generator", name)

    network, _, _ = train_dense_gan(recipe, recipe.game(), samples, context)

    assert same(network, plain_feature_gan(recipe, recipe.game(), samples, context))  # type: ignore[arg-type]


def test_a_unet_has_the_bits_of_the_plain_loop(context: SandboxContext) -> None:
    from medbench_plugins.training.segmentation_loop import fit_unet

    context.budget = Budget(steps=4, batch=4)
    samples = toy_samples(12, size=32)
    masks = (np.random.default_rng(0).random((12, *samples.x.shape[2:])) > 0.6).astype(np.uint8)
    samples, build = replace(samples, masks=masks), partial(build_unet, 1, width=8, spatial_dims=2)

    network, facts = fit_unet(build, samples, context, lr=1e-3, augment=False)

    assert same(network, plain_unet(build, samples, context, 1e-3))
    assert "gpu_steps" not in facts


# A GPU without one: torch's streams do nothing, and what is recorded is run when it is replayed. This shows which
# steps are taken as they are, what is replayed, and that no number is drawn twice; not that CUDA can record a step.


class Training:
    """Ten steps of a line through noisy points, whose transform draws from a generator of its own."""

    def __init__(self) -> None:
        self.at = step_number(torch.device("cpu"))
        self.rows = torch.arange(20).view(10, 2)
        self.x, self.weight = torch.linspace(-1, 1, 20), torch.zeros(1, requires_grad=True)
        self.draws = torch.Generator().manual_seed(1)
        self.optimiser = torch.optim.Adam([self.weight], lr=0.1, fused=True)
        self.loads = 0

    def load(self) -> tuple[torch.Tensor, ...]:
        self.loads += 1
        x = self.x[at_step(self.rows, self.at)]
        return x + torch.randn(2, generator=self.draws), 3 * x

    def learn(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.optimiser.zero_grad()
        ((self.weight * x - y) ** 2).mean().backward()
        self.optimiser.step()

    def steps(self, **options: Any) -> Steps:
        return Steps(self.load, self.learn, self.at, optimisers=[self.optimiser], generators=[self.draws], **options)


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> Any:
        return SimpleNamespace(wait_stream=nothing)

    names = ("Stream", "current_stream", "set_stream", "synchronize", "set_sync_debug_mode", "get_sync_debug_mode")
    for name in names:
        monkeypatch.setattr(torch.cuda, name, nothing)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(steps_module, "FAILED", [])
    monkeypatch.setattr(Steps, "_record", lambda self, work: work)
    monkeypatch.setattr(Steps, "_is_on_cuda", staticmethod(lambda at: True))


def run(training: Training, steps: Steps) -> tuple[torch.Tensor, int]:
    for _ in range(10):
        steps()
    return training.weight.detach(), int(training.at)


@pytest.fixture(scope="module")
def plain() -> torch.Tensor:
    training = Training()
    return run(training, training.steps())[0]


@pytest.mark.usefixtures("pretended_gpu")
def test_a_whole_step_is_replayed(plain: torch.Tensor) -> None:
    training = Training()
    steps = training.steps()

    assert run(training, steps) == (plain, 10)
    assert steps.how == CAPTURED
    assert training.optimiser.param_groups[0]["capturable"]


@pytest.mark.usefixtures("pretended_gpu")
def test_images_from_the_host_are_copied_into_the_buffers_of_the_rest(plain: torch.Tensor) -> None:
    training = Training()
    steps = training.steps(from_host=True)

    assert run(training, steps) == (plain, 10)
    assert steps.how == "captured without transform and gather: it reads from the computer's memory"
    assert training.loads == 10


@pytest.mark.usefixtures("pretended_gpu")
@pytest.mark.parametrize(
    ("part", "how"),
    [
        ("load", "captured without transform and gather: test_steps.py waits for the device"),
        ("learn", "not captured: test_steps.py waits for the device"),
    ],
)
def test_a_part_that_waits_for_the_device_is_not_replayed(part: str, how: str, plain: torch.Tensor) -> None:
    training = Training()
    work = getattr(training, part)

    def waits(*tensors: torch.Tensor) -> Any:
        if torch.is_grad_enabled() and steps._taken == 3:
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        return work(*tensors)

    setattr(training, part, waits)
    steps = training.steps()

    assert run(training, steps) == (plain, 10)
    assert steps.how == how


@pytest.mark.usefixtures("pretended_gpu")
def test_what_cannot_be_recorded_goes_on_as_it_is(plain: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Steps, work: object) -> None:
        torch.randn(1, generator=training.draws)  # recording draws numbers that belong to no step
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    training = Training()
    monkeypatch.setattr(Steps, "_record", fail)
    steps = training.steps()

    assert run(training, steps) == (plain, 10)
    assert steps.how == "not captured: CUDA error: operation not permitted when stream is capturing"

    training = Training()
    monkeypatch.setattr(Steps, "_record", lambda self, work: work)
    again = training.steps()

    assert run(training, again) == (plain, 10)
    assert again.how == "not captured: a recording before this one failed"


@pytest.mark.usefixtures("pretended_gpu")
def test_after_a_recording_that_failed_steps_draw_on_and_the_process_ends(
    plain: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torch leaves them: on another stream, generators that wait for the end of the recording, the reason hidden."""
    streams = ["default"]
    monkeypatch.setattr(
        torch.cuda, "current_stream", lambda _=None: SimpleNamespace(name=streams[-1], wait_stream=print)
    )
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: streams.append(stream.name))
    monkeypatch.setattr(steps_module, "FAILED", [])
    put_back = torch_state.states(torch)["recordings that failed"]
    found = put_back[0]()

    class Recorded(torch.Generator):
        """Draws no more once a recording that it is part of has failed, until it is given a state that was in none."""

        device = torch.device("cuda:0")
        waits = False

        def graphsafe_set_state(self, other: torch.Generator) -> None:
            self.waits = False

    def fail(self: Steps, work: object) -> None:
        streams.append("recording")
        for generator in self._generators:
            generator.waits = True
        try:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        except RuntimeError:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")  # noqa: B904

    def load() -> tuple[torch.Tensor, ...]:
        assert not training.draws.waits
        return own_load()

    training = Training()
    own_load, training.load = training.load, load
    training.draws = Recorded().manual_seed(1)
    monkeypatch.setattr(torch, "Generator", lambda device: torch.default_generator)
    monkeypatch.setattr(Steps, "_record", fail)
    steps = training.steps()

    assert run(training, steps) == (plain, 10)
    assert steps.how == "not captured: CUDA error: operation not permitted when stream is capturing"
    assert streams[-1] == "default"
    assert put_back == (put_back[0], None)
    assert put_back[0]() == found + 1


def test_how_steps_were_taken_stands_beside_a_generator(context: SandboxContext) -> None:
    note_how(context.folder, "acgan", "")
    assert not (context.folder / NOTE).exists()

    note_how(context.folder, "acgan of benign", CAPTURED)
    note_how(context.folder, "acgan of malignant", CAPTURED)

    assert (context.folder / NOTE).read_text() == "acgan of benign: captured\nacgan of malignant: captured\n"


def test_kernels_are_those_of_the_numerics() -> None:
    from medbench_plugins.training.numeric_precision import repeatable_kernels

    def flags() -> tuple[bool, bool, bool]:
        cudnn = torch.backends.cudnn
        with repeatable_kernels():
            return cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32

    exact = flags()
    torch.set_float32_matmul_precision("high")  # as a job under numerics "fast" begins on a GPU
    try:
        fast = flags()
    finally:
        torch.set_float32_matmul_precision("highest")

    assert exact == (False, True, False)
    assert fast == (True, False, True)
