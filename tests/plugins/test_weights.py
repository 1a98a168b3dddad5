"""Weights: which files are taken, what is adapted, what is refused, and what is fetched."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import medbench
from medbench.interfaces import Budget
from medbench.samples import Samples
from medbench.testing import SandboxContext, toy_samples
from medbench_plugins.classifiers.small import SmallCNN
from medbench_plugins.networks import weights
from medbench_plugins.networks.small import SmallCNN as Network


def network(channels: int = 1, classes: int = 2, width: int = 8, seed: int = 0) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Network(channels, classes, width=width)


def saved(net: torch.nn.Module, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(net.state_dict(), path)
    else:
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, path)
    return path


@pytest.mark.parametrize("file", ["a.safetensors", "a.pth"])
def test_weights_of_the_same_network_are_taken_whole(tmp_path: Path, file: str) -> None:
    given, taken = network(seed=1), network(seed=2)

    weights.load(taken, saved(given, tmp_path / file))

    assert all(torch.equal(a, b) for a, b in zip(given.state_dict().values(), taken.state_dict().values(), strict=True))


def test_a_head_of_other_classes_begins_at_zero(tmp_path: Path) -> None:
    given, taken = network(classes=5, seed=1), network(seed=2)

    weights.load(taken, saved(given, tmp_path / "a.pth"))

    assert not taken.head.weight.any()
    assert not taken.head.bias.any()
    assert torch.equal(taken.features[3].weight, given.features[3].weight)


@pytest.mark.parametrize("channels", [1, 4])
def test_the_first_convolution_answers_to_gray_as_it_did(tmp_path: Path, channels: int) -> None:
    given, taken = network(channels=3, seed=1), network(channels=channels, seed=2)
    gray = torch.linspace(-1, 1, 2 * 8 * 8).reshape(2, 1, 8, 8)

    weights.load(taken, saved(given, tmp_path / "a.safetensors"))

    expected = given.features[0](gray.expand(-1, 3, -1, -1))
    torch.testing.assert_close(taken.features[0](gray.expand(-1, channels, -1, -1)), expected)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    wide = saved(network(width=16), tmp_path / "wide.pth")
    with pytest.raises(medbench.DataError, match=r"wide\.pth: tensor features\.0\.weight is \(16, 1, 3, 3\) where"):
        weights.load(network(), wide)

    other = tmp_path / "other.safetensors"
    save_file({"conv.weight": torch.zeros(2)}, other)
    with pytest.raises(medbench.DataError, match=r"other\.safetensors: tensor conv\.weight is too many"):
        weights.load(network(), other)

    partial = tmp_path / "partial.safetensors"
    save_file({"features.0.weight": torch.zeros(8, 1, 3, 3)}, partial)
    with pytest.raises(medbench.DataError, match=r"partial\.safetensors: tensor features\.1\.weight of the network is"):
        weights.load(network(), partial)


class Explodes:
    """A stranger's checkpoint may run code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('SECRET')",))


@pytest.mark.parametrize("name", ["absent.pth", "text.pth", "text.safetensors", "evil.pth", "empty.pth", "folder.pth"])
def test_a_file_that_holds_no_weights_is_named_and_nothing_of_it_quoted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.startswith("text"):
        path.write_text("SECRET SECRET SECRET")
    elif name == "evil.pth":
        torch.save({"w": Explodes()}, path)
    elif name == "empty.pth":
        torch.save({"note": "SECRET"}, path)
    elif name == "folder.pth":
        path.mkdir()

    with pytest.raises(medbench.DataError, match=name) as error:
        weights.read(path)

    assert "SECRET" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_fit_begins_from_the_file_and_records_its_checksum(tmp_path: Path, context: SandboxContext) -> None:
    context.budget = Budget(steps=1, batch=4)
    path = saved(network(width=16, seed=1), tmp_path / "a.safetensors")
    training_set = medbench.TrainingSet(toy_samples())
    nothing = training_set.samples.take([])

    plain = SmallCNN(lr=0.0).fit(training_set, nothing, context)
    begun = SmallCNN(lr=0.0, pretrained=path).fit(training_set, nothing, context)

    assert begun.facts["pretrained"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "pretrained" not in plain.facts
    np.testing.assert_array_equal(begun.state()["head.weight"], network(width=16, seed=1).head.weight.detach())
    assert not np.array_equal(plain.state()["head.weight"], begun.state()["head.weight"])


def test_a_fit_can_begin_where_another_ended(context: SandboxContext) -> None:
    context.budget = Budget(steps=2, batch=4)
    training_set = medbench.TrainingSet(toy_samples())
    nothing: Samples = training_set.samples.take([])
    first = SmallCNN().fit(training_set, nothing, context)

    second = SmallCNN(lr=0.0).fit(training_set, nothing, context, start=first.state())

    np.testing.assert_array_equal(second.state()["head.weight"], first.state()["head.weight"])


def of_timm(model: str, path: Path, classes: int = 2, **options: Any) -> torch.nn.Module:
    """Build a network of timm with random weights, write them to `path`, and return it: the reference."""
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(7)
        reference = timm.create_model(model, pretrained=False, num_classes=classes, **options)
        for parameter in reference.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
    save_file(reference.state_dict(), path)
    return reference.eval()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("model", "mean", "deviation"),
    [
        ("convnext_atto", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # ImageNet's
        ("test_vit", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ],
)
def test_pretrained_networks_see_images_in_the_units_of_their_weights(
    model: str,
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    channels: int,
    tmp_path: Path,
    context: SandboxContext,
) -> None:
    """Against timm's own network, given pixels in [0, 1] less the mean over the deviation; gray as three equal ones."""
    from medbench_plugins.classifiers.timm_nets import Timm

    options = {"img_size": 32} if model == "test_vit" else {}
    reference = of_timm(model, tmp_path / "a.safetensors", **options)
    samples = toy_samples(8, size=32, channels=channels)
    context.budget = Budget(steps=1, batch=4)
    classifier = Timm(model=model, lr=0.0, pretrained=tmp_path / "a.safetensors")

    predictor: Any = classifier.fit(medbench.TrainingSet(samples), samples.take([]), context)

    x = torch.from_numpy(samples.x).double().expand(-1, 3, -1, -1) / 255
    x = (x - torch.tensor(mean).double().view(3, 1, 1)) / torch.tensor(deviation).double().view(3, 1, 1)
    with torch.no_grad():
        expected = reference(x.float()).double().softmax(1).numpy()
    np.testing.assert_allclose(predictor(samples.x), expected, atol=1e-5)
    assert set(predictor.state()) == set(reference.state_dict())
    # Cut in two and sent through the store, the encoder sees the same.
    encoder, _ = classifier.cut()
    encode = encoder.fit(samples, context)
    restored = encoder.restore(encode.state(), samples)
    np.testing.assert_array_equal(encode(samples.x), restored(samples.x))
    with torch.no_grad():
        before_head = reference.forward_head(reference.forward_features(x.float()), pre_logits=True).numpy()
    np.testing.assert_allclose(encode(samples.x), before_head, atol=1e-4)


def test_networks_from_scratch_see_pixels_as_they_did(tmp_path: Path) -> None:
    from medbench_plugins.classifiers.timm_nets import VGG16, Timm

    samples, file = toy_samples(2, size=32), saved(network(), tmp_path / "any.safetensors")
    plain, begun = (VGG16(head="narrow", pretrained=given).blueprint(samples).build() for given in (None, file))

    assert not hasattr(plain, "to_statistics")
    assert hasattr(begun, "to_statistics")
    assert set(plain.state_dict()) == set(begun.state_dict())
    assert begun.state_dict()["features.0.weight"].shape[1] == 3
    of_timm("test_resnet", tmp_path / "a.safetensors")
    other = toy_samples(2, size=32, channels=4)
    four = Timm(model="test_resnet", pretrained=tmp_path / "a.safetensors").blueprint(other).build()
    assert not hasattr(four, "to_statistics")  # its own are those of -1 to 1


def test_a_pretrained_transformer_of_other_channels_answers_to_gray_as_it_did(tmp_path: Path) -> None:
    """Its class token stands before the first convolution and is none."""
    import timm

    given = of_timm("test_vit", tmp_path / "a.safetensors", img_size=32)
    for channels in (1, 4):
        taken = timm.create_model("test_vit", pretrained=False, num_classes=2, in_chans=channels, img_size=32).eval()
        weights.load(taken, tmp_path / "a.safetensors", head=("head.",))
        gray = torch.linspace(-1, 1, 2 * 32 * 32).reshape(2, 1, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(
                taken(gray.expand(-1, channels, -1, -1)), given(gray.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5
            )


class Shelf(BaseHTTPRequestHandler):
    """Answers as the hub does: a commit and an ETag with the file."""

    files: dict[str, bytes] = {}  # noqa: RUF012  filled by the fixture

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, *, with_body: bool) -> None:
        body = self.files.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.send_header("ETag", f'"{hashlib.sha256(body or b"").hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if with_body and body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server on this machine: its address and the files it gives."""
    Shelf.files = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    yield f"http://127.0.0.1:{server.server_port}", Shelf.files
    server.shutdown()
    thread.join()
    server.server_close()


def published(path: Path) -> bytes:
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(7)
        save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), path)
    return path.read_bytes()


def test_fetched_weights_come_from_the_hub_and_fit(
    tmp_path: Path, shelf: tuple[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, context: SandboxContext
) -> None:
    from medbench_plugins.classifiers.timm_nets import Timm

    address, files = shelf
    files["/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"] = published(tmp_path / "x.safetensors")
    monkeypatch.setenv("HF_ENDPOINT", address)

    path = Timm(model="test_resnet").fetch(tmp_path / "weights")

    assert path == tmp_path / "weights" / "test_resnet.safetensors"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    files.clear()
    assert Timm(model="test_resnet").fetch(tmp_path / "weights") == path  # what is there is not fetched again
    context.budget = Budget(steps=1, batch=4)
    samples = toy_samples(8, size=32)
    predictor = Timm(model="test_resnet", lr=0.0, pretrained=path).fit(
        medbench.TrainingSet(samples), samples.take([]), context
    )
    assert predictor.facts["pretrained"] == weights.sha256(path)
    given = weights.read(path)
    name = next(name for name in given if name.endswith("conv2.weight"))
    np.testing.assert_array_equal(predictor.state()[name], given[name].numpy())


def test_fetched_checkpoints_become_safetensors_and_their_checksum_is_checked(
    tmp_path: Path, shelf: tuple[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm

    address, files = shelf
    body = saved(network(), tmp_path / "net.pth").read_bytes()
    good, bad = f"/net-{hashlib.sha256(body).hexdigest()[:8]}.pth", "/net-00000000.pth"
    files[good] = files[bad] = body

    def published_at(path: str) -> None:
        config = timm.models.PretrainedCfg(url=address + path)
        monkeypatch.setattr(timm, "get_pretrained_cfg", lambda _: config)

    published_at(good)
    path = weights.fetch_timm("resnet18", tmp_path / "good")
    assert torch.equal(weights.read(path)["head.weight"], network().head.weight)

    published_at(bad)
    with pytest.raises(medbench.ResourceError, match=r"net-00000000\.pth arrived damaged"):
        weights.fetch_timm("resnet18", tmp_path / "bad")
    assert not list((tmp_path / "bad").iterdir())


def test_what_cannot_be_fetched_is_an_error(
    tmp_path: Path, shelf: tuple[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm

    monkeypatch.setenv("HF_ENDPOINT", shelf[0])
    with pytest.raises(medbench.ResourceError, match=r"model\.safetensors of timm/test_resnet\.r160_in1k could not be"):
        weights.fetch_timm("test_resnet", tmp_path)
    without = next(name for name in timm.list_models("resnet*") if not timm.models.is_model_pretrained(name))
    with pytest.raises(medbench.UsageError, match=f"timm publishes no weights for {without}"):
        weights.fetch_timm(without, tmp_path)
