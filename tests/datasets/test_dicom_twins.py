"""Twins: one radiograph in every encoding that DICOM has; all decode to the same pixels or are refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

from medbench import DataError
from medbench_datasets.readers.dicom.read import read_radiograph

Y, X = np.mgrid[:33, :35]
GREY = ((X * 7 + Y * Y) % 256 * (X + Y < 60)).astype(np.int64)  # 0 to 255, odd sides, no symmetry
GREY[5, 5] = 255
FIELD = X + Y < 55  # what a collimated detector saw


def radiograph(
    values: np.ndarray = GREY,
    *,
    allocated: int = 16,
    stored: int = 12,
    shift: int = 0,
    signed: bool = False,
    extend: bool = True,
    syntax: str = uid.ExplicitVRLittleEndian,
    vr: str = "OW",
    unused: int = 0,
    **tags: object,
) -> Dataset:
    """Write stored values.

    Args:
        values: Whole numbers within `stored` bits, or any that `allocated` bits hold where `extend`.
        allocated: Bits of a word.
        stored: Bits of a value.
        shift: Bits below it.
        signed: Whether values are signed.
        extend: Whether a negative value fills the bits above it with its sign.
        syntax: How the words are written; RLE and JPEG 2000 are made of them.
        vr: That of PixelData.
        unused: What else is set in every word.
        tags: Set as they are; None removes one.
    """
    words = values * 2**shift
    words = (words % 2**allocated if extend else (values % 2**stored) << shift) | unused
    image = Dataset()
    image.file_meta = FileMetaDataset()
    compress = uid.UID(syntax).is_compressed
    image.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if compress else uid.UID(syntax)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = values.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = allocated, stored, stored - 1 + shift
    image.PixelRepresentation = int(signed)
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    data = words.astype(f"{order}u{allocated // 8}").tobytes()
    data += b"\0" * (len(data) % 2)
    if allocated == 8 and order == ">" and vr == "OW":  # bytes are swapped within words
        data = np.frombuffer(data, np.uint8).reshape(-1, 2)[:, ::-1].tobytes()
    image.add_new("PixelData", vr, data)
    for keyword, value in tags.items():
        if value is None:
            delattr(image, keyword)
        elif keyword == "overlay":
            image.add_new((0x6000, 0x0102), "US", value)
        elif keyword.startswith("PixelPadding"):
            image.add_new(keyword, "SS" if signed else "US", value)
        else:
            setattr(image, keyword, value)
    if compress:
        image.compress(syntax, generate_instance_uid=False)
    return image


def shown(image: Dataset, tmp_path: Path) -> np.ndarray:
    path = tmp_path / "image.dcm"
    image.save_as(path, enforce_file_format=True)
    return read_radiograph(path, name="image.dcm")[0]


def lut(first: int, entries: list[int], bits: int, vr: str = "US", order: str = "<") -> list[Dataset]:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item.LUTExplanation = "x"
    if vr == "US":
        item.add_new("LUTData", "US", entries)
    else:  # "OW", or "OB" for two entries a word
        item.add_new("LUTData", "OW", np.array(entries).astype("u1" if vr == "OB" else f"{order}u2").tobytes())
    return [item]


TWELVE = GREY * 16
LITTLE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
NATIVE = (*LITTLE, uid.ExplicitVRBigEndian)

TWINS = {
    **{
        f"{stored} of {allocated} bits, signed {signed}, {uid.UID(s).name}{', bare' * (not extend)}": {
            "values": GREY * 2 ** (stored - 8) - signed * 2 ** (stored - 1),
            "allocated": allocated,
            "stored": stored,
            "signed": signed,
            "syntax": s,
            "extend": extend,
        }
        for allocated, stored in ((8, 8), (16, 8), (16, 10), (16, 12), (16, 16))
        for signed in (False, True)
        for s in (*NATIVE, uid.RLELossless, uid.JPEG2000Lossless)
        if (allocated, stored, s) != (16, 8, uid.RLELossless)  # pydicom cannot write it
        for extend in ((True, False) if signed and stored < allocated and s != uid.JPEG2000Lossless else (True,))
    },
    **{
        f"high bit {11 + shift}, {'signed' * signed or 'unsigned'}, {uid.UID(s).name}": {
            "values": TWELVE - signed * 2048,
            "shift": shift,
            "signed": signed,
            "syntax": s,
        }
        for shift in (2, 4)
        for signed in (False, True)
        for s in (*NATIVE, uid.RLELossless)
    },
    "8 bits as bytes, big endian": {
        "values": GREY, "allocated": 8, "stored": 8, "vr": "OB", "syntax": uid.ExplicitVRBigEndian
    },
    "overlay in the unused bits": {
        "values": TWELVE, "unused": 0x8000, "overlay": 15
    },
    "MONOCHROME1": {"values": 4080 - TWELVE, "PhotometricInterpretation": "MONOCHROME1"},
    "slope 1": {"values": TWELVE, "RescaleSlope": 1, "RescaleIntercept": -1024},
    "slope .1": {"values": TWELVE, "RescaleSlope": "0.1", "RescaleIntercept": 0},
    "slope without intercept": {"values": TWELVE, "RescaleSlope": 2},
    "slope -10": {"values": GREY.max() - GREY, "RescaleSlope": -10, "RescaleIntercept": 3000},
    "slope -10 without intercept": {"values": GREY.max() - GREY, "RescaleSlope": -10},
    "slope -10, MONOCHROME1": {
        "values": GREY, "RescaleSlope": -10, "RescaleIntercept": 3000, "PhotometricInterpretation": "MONOCHROME1"
    },
    "slope -1, window": {
        "values": TWELVE.max() - TWELVE,
        "RescaleSlope": -1,
        "RescaleIntercept": 4080,
        "WindowCenter": 2040,
        "WindowWidth": 4080,
        "VOILUTFunction": "LINEAR_EXACT",
    },
    "window": {"values": TWELVE, "WindowCenter": 2040, "WindowWidth": 4080, "VOILUTFunction": "LINEAR_EXACT"},
    "window without width": {"values": TWELVE, "WindowCenter": 5},
    "window beside the data": {"values": TWELVE, "WindowCenter": 60000, "WindowWidth": 10},
    **{
        f"modality LUT of {bits} bits, {vr}, {uid.UID(s).name}": {
            "values": TWELVE // 16 + 40,
            "syntax": s,
            "ModalityLUTSequence": lut(40, [min(k, 255) * (1 if bits == 8 else 16) for k in range(300)], bits, vr,
                                       ">" if s == uid.ExplicitVRBigEndian else "<"),
        }
        for bits, vr in ((8, "US"), (12, "US"), (16, "US"), (16, "OW"))
        for s in (uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian)
    },
    "VOI LUT of 8 bits with 4096 entries": {
        "values": TWELVE, "VOILUTSequence": lut(0, [k // 16 for k in range(4096)], 8)
    },
    "VOI LUT of 8 bits, two a word": {
        "values": TWELVE, "VOILUTSequence": lut(0, [k // 16 for k in range(4096)], 8, "OB")
    },
    "VOI LUT of 65536 entries behind a slope": {
        "values": GREY - 128,
        "signed": True,
        "RescaleSlope": 10,
        "RescaleIntercept": 0,
        "VOILUTSequence": lut(-1280, [min(k // 10, 255) for k in range(65536)], 16),
        "syntax": uid.ImplicitVRLittleEndian,
    },
    "VOI LUT from below 0": {"values": GREY - 2048, "signed": True, "VOILUTSequence": lut(-2048, list(range(256)), 16)},
}  # fmt: skip


@pytest.mark.parametrize("what", TWINS)
def test_a_radiograph_is_the_same_in_every_encoding(tmp_path: Path, what: str) -> None:
    np.testing.assert_array_equal(shown(radiograph(**TWINS[what]), tmp_path), GREY)


# 16 bits of padding may lie outside of what BitsStored holds, as CT has it; or inside, at either end of the values
PADDED = {
    "below, signed": ({"signed": True, "stored": 16, "PixelPaddingValue": -2000}, -2000),
    "below BitsStored, signed": ({"signed": True, "PixelPaddingValue": -4000}, -4000),
    "written without sign": ({"signed": True, "stored": 16, "PixelPaddingValue": -2000}, 63536),
    "above BitsStored": ({"PixelPaddingValue": 63536}, 63536),
    "at the highest": ({"PixelPaddingValue": 4095}, 4095),
    "at 0": ({"PixelPaddingValue": 0}, 0),
    "range upwards": ({"stored": 16, "PixelPaddingValue": 5000, "PixelPaddingRangeLimit": 9000}, None),
    "range downwards": (
        {"signed": True, "stored": 16, "PixelPaddingValue": -1000, "PixelPaddingRangeLimit": -3000}, None
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", PADDED)
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless]
)
def test_padding_takes_no_contrast_and_is_black(tmp_path: Path, what: str, photometric: str, syntax: str) -> None:
    tags, value = PADDED[what]
    seen = 1 + (GREY if photometric == "MONOCHROME2" else 255 - GREY) * 4
    away = tags["PixelPaddingValue"] if value is None else value
    spread = X % 2 * (tags.get("PixelPaddingRangeLimit", away) - away)
    image = radiograph(
        np.where(FIELD, seen, away + spread), syntax=syntax, PhotometricInterpretation=photometric, **tags
    )

    np.testing.assert_array_equal(shown(image, tmp_path), np.where(FIELD, GREY, 0))


def test_an_image_of_padding_alone_is_black(tmp_path: Path) -> None:
    assert not shown(
        radiograph(GREY * 0 + 7, PixelPaddingValue=7, PhotometricInterpretation="MONOCHROME1"), tmp_path
    ).any()


def two_frames() -> bytes:
    whole = radiograph(syntax=uid.JPEG2000Lossless)
    frame = get_frame(whole.PixelData, 0, number_of_frames=1)
    return encapsulate([frame, frame])


REFUSED = {
    "PhotometricInterpretation is missing": {"PhotometricInterpretation": None},
    "describe a colour image": {"PhotometricInterpretation": "RGB"},
    r"bits that BitsStored \(10\)": {"values": TWELVE, "stored": 10},
    r"BitsStored \(12\) and HighBit \(11\) call unused": {"values": TWELVE, "unused": 0x4000},
    r"BitsStored \(12\) and HighBit \(15\) call unused": {"values": TWELVE + 1, "HighBit": 15},
    "HighBit is 7": {"values": TWELVE, "HighBit": 7},
    "HighBit is 16": {"values": TWELVE, "HighBit": 16},
    "HighBit is 13": {"values": TWELVE, "syntax": uid.JPEG2000Lossless, "HighBit": 13},
    "BitsAllocated describe 1155": {"values": GREY, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
    "Columns and BitsAllocated describe": {"Rows": 16},
    "16 bits, BitsAllocated says 8": {
        "values": TWELVE, "syntax": uid.JPEG2000Lossless, "stored": 16,
    },
    "several frames": {"values": TWELVE, "syntax": uid.JPEG2000Lossless},
    "RescaleSlope is 0": {"RescaleSlope": 0},
    "PixelPaddingValue": {"PixelPaddingValue": [1, 2]},
    "lookup table or window is damaged": {"VOILUTSequence": lut(0, [0] * 1000, 40)},
}  # fmt: skip


@pytest.mark.parametrize("says", REFUSED)
def test_tags_that_contradict_the_pixels_are_named(tmp_path: Path, says: str) -> None:
    image = radiograph(**REFUSED[says])
    if says.startswith("several"):
        image.PixelData = two_frames()
    if says.startswith(("16 bits", "HighBit is 13")):  # compressing would have refused it
        image.BitsAllocated, image.BitsStored, image.HighBit = (8, 8, 7) if says[0] == "1" else (16, 12, 13)

    with pytest.raises(DataError, match=rf"^image\.dcm: .*{says}"):
        shown(image, tmp_path)


def test_a_small_file_of_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    image = radiograph(syntax=uid.JPEG2000Lossless)
    image.Rows = image.Columns = 8000

    with pytest.raises(DataError, match=r"^image\.dcm: is an image of 8000 x 8000 and would take 512 MB of memory"):
        shown(image, tmp_path)


def test_a_compressed_frame_of_many_scans_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY.astype(np.uint8)).save(buffer, "JPEG", progressive=True)
    image = radiograph(allocated=8, stored=8)
    image.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    image.PixelData = encapsulate([buffer.getvalue()])
    image["PixelData"].is_undefined_length = True

    with pytest.raises(DataError, match=r"^image\.dcm: the compressed frame is a JPEG of several scans"):
        shown(image, tmp_path)
