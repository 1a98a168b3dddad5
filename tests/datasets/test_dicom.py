"""The DICOM reader: what it shows of intact radiographs, and what it says about broken ones."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from medbench import DataError, MedbenchError, ResourceError
from medbench_datasets.readers.dicom.header import inspect
from medbench_datasets.readers.dicom.read import read_radiograph

RAMP = np.arange(64, dtype=np.uint16).reshape(8, 8) * 16
LARGE = np.arange(1600, dtype=np.uint16).reshape(40, 40) * 5  # JPEG 2000 needs 32 pixels


def radiograph(pixels: np.ndarray = RAMP, *, syntax: str = uid.ExplicitVRLittleEndian, **tags: object) -> Dataset:
    """A minimal image with the given stored values; `tags` overrules, and None removes a tag."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = uid.UID(syntax)
    image.file_meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    image.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    image.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    image.SOPInstanceUID = "1.2.3.4"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    bits = pixels.dtype.itemsize * 8
    image.BitsAllocated, image.BitsStored, image.HighBit = bits, bits, bits - 1
    image.PixelRepresentation = int(pixels.dtype.kind == "i")
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(image, keyword)
        else:
            setattr(image, keyword, value)
    return image


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def save(image: Dataset | bytes) -> Path:
        path = tmp_path / "image.dicom"
        if isinstance(image, bytes):
            path.write_bytes(image)
        else:
            image.save_as(path, enforce_file_format=True)
        return path

    return save


def refusal(path: Path, kind: type[MedbenchError] = DataError) -> str:
    """The one sentence that the file is refused with."""
    with pytest.raises(kind) as caught:
        read_radiograph(path, name="x/image.dicom")
    message = str(caught.value)
    assert message.startswith("x/image.dicom: ")
    assert "\n" not in message
    assert str(path.parent) not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


# What an intact file looks like


def test_values_are_stretched_over_all_greys(write) -> None:
    shown = read_radiograph(write(radiograph()), name="x")

    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown[0], np.rint(RAMP * (255 / RAMP.max())))


def test_monochrome1_is_inverted(write) -> None:
    upright = read_radiograph(write(radiograph()), name="x")
    inverted = read_radiograph(write(radiograph(PhotometricInterpretation="MONOCHROME1")), name="x")

    np.testing.assert_array_equal(inverted, 255 - upright)


def test_the_first_window_clips(write) -> None:
    path = write(radiograph(WindowCenter=[400.5, 9], WindowWidth=[201, 9]))  # 300 to 500, PS3.3 C.11.2.1.2.1
    shown = read_radiograph(path, name="x")[0]

    np.testing.assert_allclose(shown, np.clip((RAMP - 300.0) / 200, 0, 1) * 255, atol=0.5 + 1e-6)


def test_rescaling_comes_before_the_window(write) -> None:
    path = write(radiograph(RescaleSlope=2, RescaleIntercept=-100, WindowCenter=700.5, WindowWidth=401))

    expected = np.clip((RAMP * 2.0 - 100 - 500) / 400, 0, 1) * 255
    np.testing.assert_allclose(read_radiograph(path, name="x")[0], expected, atol=0.5 + 1e-6)


def test_a_voi_lut_is_applied(write) -> None:
    item = Dataset()
    item.LUTDescriptor = [4, 100, 8]
    item.add_new("LUTData", "US", [0, 10, 20, 255])
    path = write(radiograph(np.arange(98, 107, dtype=np.uint16).reshape(3, 3), VOILUTSequence=[item]))

    assert read_radiograph(path, name="x")[0].tolist() == [[0, 0, 0], [10, 20, 255], [255, 255, 255]]


def test_a_window_beside_the_data_is_not_applied(write) -> None:
    plain = read_radiograph(write(radiograph()), name="x")
    beside = read_radiograph(write(radiograph(WindowCenter=60000, WindowWidth=10)), name="x")

    np.testing.assert_array_equal(plain, beside)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_an_image_of_one_value_is_black(write, photometric: str) -> None:
    flat = radiograph(np.full((4, 6), 7, np.uint8), PhotometricInterpretation=photometric)

    assert not read_radiograph(write(flat), name="x").any()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bits=st.integers(8, 16),
    signed=st.booleans(),
    rows=st.integers(32, 40),
    columns=st.integers(32, 40),
    syntax=st.sampled_from(
        [
            *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian),
            *(uid.RLELossless, uid.JPEG2000Lossless),
        ]
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_depth_sign_and_lossless_encoding_gives_the_same_picture(
    write, bits: int, signed: bool, rows: int, columns: int, syntax: uid.UID, seed: int
) -> None:
    low = -(2 ** (bits - 1)) if signed else 0
    values = np.random.default_rng(seed).integers(low, low + 2**bits, (rows, columns))
    stored = values.astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    big = syntax == uid.ExplicitVRBigEndian
    image = radiograph(stored, syntax=uid.ExplicitVRLittleEndian if syntax.is_compressed else syntax)
    image.PixelData = stored.astype(stored.dtype.newbyteorder(">")).tobytes() if big else stored.tobytes()
    image.PixelData += b"\0" * (len(image.PixelData) % 2)
    image.BitsStored, image.HighBit = bits, bits - 1
    if syntax.is_compressed:
        image.compress(syntax, generate_instance_uid=False)

    span = values.max() - values.min()
    expected = np.rint((values - values.min()) * (255 / span)) if span else np.zeros_like(values)
    np.testing.assert_array_equal(read_radiograph(write(image), name="x")[0], expected)


def test_baseline_jpeg_is_read(write) -> None:
    smooth = (LARGE // 32).astype(np.uint8)  # 0 to 249
    coded = io.BytesIO()
    Image.fromarray(smooth).save(coded, "JPEG", quality=95)
    image = radiograph(smooth, syntax=uid.JPEGBaseline8Bit, PixelData=encapsulate([coded.getvalue()]))
    image["PixelData"].is_undefined_length = True

    np.testing.assert_allclose(read_radiograph(write(image), name="x")[0], smooth * (255 / 249), atol=6)


def test_the_preamble_of_a_program_is_ignored_and_told(write) -> None:
    path = write(radiograph())
    plain = read_radiograph(path, name="x")
    path.write_bytes(b"MZ" + path.read_bytes()[2:])

    np.testing.assert_array_equal(read_radiograph(path, name="x"), plain)
    assert inspect(path, name="x").executable


def test_identifying_tags_are_named_and_their_values_kept_nowhere(write) -> None:
    header = inspect(write(radiograph(PatientName="Doe^Jane", PatientID="", PatientBirthDate="19700101")), name="x")

    assert header.identifying == ("PatientName", "PatientBirthDate")
    assert not {"Doe", "1970"} & set(repr(header).replace("'", " ").split())


# What a broken file is refused with


def test_an_empty_file_is_named(write) -> None:
    assert "0 bytes" in refusal(write(b""))


@pytest.mark.parametrize(
    "text", [b"<!DOCTYPE html><title>Log in</title>", b"\xef\xbb\xbf\n<HTML>", b"<?xml version='1'?>"]
)
def test_a_web_page_is_recognised(write, text: bytes) -> None:
    assert "web page" in refusal(write(text))


def test_a_file_without_the_magic_is_not_guessed_at(write) -> None:
    path = write(radiograph())
    path.write_bytes(path.read_bytes()[132:])

    assert "no DICM" in refusal(path)


def test_a_missing_file_and_a_pipe_are_named(tmp_path: Path) -> None:
    assert "missing" in refusal(tmp_path / "gone.dicom")
    os.mkfifo(tmp_path / "pipe.dicom")
    assert "not a regular file" in refusal(tmp_path / "pipe.dicom")


def test_cut_off_pixels_are_counted(write) -> None:
    assert "100 bytes, expected 128" in refusal(write(radiograph(PixelData=RAMP.tobytes()[:100])))


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLSLossless]
)
def test_a_huge_claim_costs_no_memory(write, syntax: uid.UID) -> None:
    image = radiograph(syntax=syntax, Rows=65535, Columns=65535)
    if syntax.is_compressed:
        image.PixelData = encapsulate([b"\0" * 3000])
        image["PixelData"].is_undefined_length = True
    path = write(image)
    tracemalloc.start()
    message = refusal(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "65535 x 65535" in message
    assert peak < 10_000_000


def test_a_frame_larger_than_announced_is_refused_before_it_is_decoded(write) -> None:
    image = radiograph(LARGE)
    image.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    image.Rows, image.Columns = 4, 4
    assert "40 x 40" in refusal(write(image))

    jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc3" + struct.pack(">HBHHB", 11, 16, 60000, 60000, 1) + b"\0" * 40
    image = radiograph(syntax=uid.JPEGLosslessSV1)
    image.PixelData = encapsulate([jpeg])
    image["PixelData"].is_undefined_length = True
    assert "60000 x 60000" in refusal(write(image))


def test_a_deflated_file_is_refused_before_it_is_inflated(write) -> None:
    path = write(radiograph())
    explicit, deflated = uid.ExplicitVRLittleEndian.encode(), uid.DeflatedExplicitVRLittleEndian.encode()
    plain = path.read_bytes().replace(b"UI\x14\0" + explicit + b"\0", b"UI\x16\0" + deflated)
    end = plain.index(b"\x08\0\x16\0")
    path.write_bytes(plain[:end] + zlib.compress(b"\0" * 50_000_000, wbits=-15))

    assert "Deflated" in refusal(path)


def test_a_missing_decoder_is_a_resource_and_named(write, monkeypatch: pytest.MonkeyPatch) -> None:
    image = radiograph(LARGE)
    image.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    path = write(image)
    monkeypatch.setattr(get_decoder(uid.JPEG2000Lossless), "_available", {})

    assert "pylibjpeg-openjpeg" in refusal(path, ResourceError)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Rows", 0),
        ("Rows", None),
        ("Columns", None),
        ("BitsAllocated", 12),
        ("BitsAllocated", 64),
        ("BitsAllocated", None),
        ("BitsStored", 17),
        ("PixelRepresentation", 2),
        ("SamplesPerPixel", None),
        ("NumberOfFrames", 3),
        ("RescaleSlope", 0),
        ("RescaleSlope", "1e38"),
        ("RescaleIntercept", "1e38"),
        ("WindowWidth", 0),
        ("PixelData", None),
    ],
)
def test_an_impossible_tag_is_named(write, keyword: str, value: object) -> None:
    extra = {"WindowCenter": 5} if keyword == "WindowWidth" else {}
    extra |= {"RescaleSlope": 1} if keyword == "RescaleIntercept" else {}

    assert keyword in refusal(write(radiograph(**{keyword: value}, **extra)))


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422", "PALETTE COLOR"])
def test_colour_is_refused(write, photometric: str) -> None:
    samples = 1 if photometric.startswith("PAL") else 3

    assert "colour" in refusal(write(radiograph(PhotometricInterpretation=photometric, SamplesPerPixel=samples)))


def test_text_of_a_tag_never_reaches_a_message(write) -> None:
    path = write(
        radiograph(PhotometricInterpretation="DOE JANE", VOILUTFunction="DOE JANE", WindowWidth=5, WindowCenter=5)
    )
    assert "DOE" not in refusal(path)

    path = write(radiograph(VOILUTFunction="DOE JANE", WindowWidth=5, WindowCenter=5))
    assert "DOE" not in refusal(path)


def test_sequences_without_end_are_refused(write) -> None:
    path = write(radiograph())
    whole = path.read_bytes()
    at = whole.index(b"\x28\0\x02\0US")  # before SamplesPerPixel
    item = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    path.write_bytes(whole[:at] + item * 50_000 + whole[at:])

    assert "nested too deeply" in refusal(path)


def test_a_lying_length_is_refused(write) -> None:
    path = write(radiograph())
    whole = path.read_bytes()
    at = whole.index(b"\x28\0\x10\0US") + 6
    path.write_bytes(whole[:at] + b"\xff\xff" + whole[at + 2 :])

    refusal(path)


def test_a_dicomdir_is_refused(write) -> None:
    image = radiograph()
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage

    assert "DICOMDIR" in refusal(write(image))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), syntax=st.sampled_from([uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEG2000Lossless]))
def test_a_file_cut_anywhere_is_refused_or_read_whole(write, data: st.DataObject, syntax: uid.UID) -> None:
    image = radiograph(LARGE, WindowCenter=400, WindowWidth=300)
    if syntax.is_compressed:
        image.compress(syntax, generate_instance_uid=False)
    path = write(image)
    whole, shown = path.read_bytes(), read_radiograph(path, name="x")
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        cut = read_radiograph(path, name="x")
    except DataError:
        return

    np.testing.assert_array_equal(cut, shown)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4),
    syntax=st.sampled_from([uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.RLELossless]),
)
def test_flipped_bytes_give_a_picture_or_one_sentence(write, flips: list[tuple[float, int]], syntax: uid.UID) -> None:
    image = radiograph(
        syntax=uid.ExplicitVRLittleEndian if syntax.is_compressed else syntax, WindowCenter=400, WindowWidth=300
    )
    if syntax.is_compressed:
        image.compress(syntax, generate_instance_uid=False)
    path = write(image)
    content = bytearray(path.read_bytes())
    for place, change in flips:
        content[128 + int(place * (len(content) - 128))] ^= change
    path.write_bytes(bytes(content))
    try:
        shown = read_radiograph(path, name="x")
    except (DataError, ResourceError):
        return

    assert shown.dtype == np.uint8
    assert shown.ndim == 3


# Real files

REFUSED = {
    "wg04/JPLY/RG2_JPLY": "cannot be decoded|does not know",
    "wg04/JPLY/RG3_JPLY": "cannot be decoded|does not know",
    "pydicom/MR_truncated.dcm": "8130 bytes, expected 8192",
    "pydicom/examples_ybr_color.dcm": "colour",
}


def test_every_real_file_is_read_or_refused_as_expected(shared_data: Path) -> None:
    root = shared_data / "dicom"
    files = sorted(p for p in root.rglob("*") if p.is_file() and not p.name.startswith(("LICENSE", "README")))
    assert len(files) >= 25
    for path in files:
        name = path.relative_to(root).as_posix()
        if name in REFUSED:
            with pytest.raises(DataError, match=REFUSED[name]):
                read_radiograph(path, name=name)
            continue
        shown = read_radiograph(path, name=name)
        header = dcmread(path, stop_before_pixels=True)
        assert shown.shape == (1, header.Rows, header.Columns), name
        assert (shown.min(), shown.max()) == (0, 255), name


def test_one_real_radiograph_is_the_same_in_every_lossless_encoding(shared_data: Path) -> None:
    folder = shared_data / "dicom"
    names = ("wg04/JLSL/RG3_JLSL", "wg04/JPLL/RG3_JPLL", "wg04/RLE/RG3_RLE", "pydicom-data/RG3_J2KR.dcm")
    first, *others = (read_radiograph(folder / name, name=name) for name in names)
    for other in others:
        np.testing.assert_array_equal(first, other)

    for lossy in ("wg04/JLSN/RG3_JLSN", "pydicom-data/RG3_J2KI.dcm"):
        difference = read_radiograph(folder / lossy, name=lossy).astype(int) - first
        assert 0 < np.abs(difference).mean() < 3


def test_byte_order_and_encoding_of_a_real_scan_do_not_matter(shared_data: Path) -> None:
    folder = shared_data / "dicom" / "pydicom"
    names = ("MR_small_bigendian.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm")
    first, *others = (read_radiograph(folder / name, name=name) for name in names)
    for other in others:
        np.testing.assert_array_equal(first, other)
