"""Pictures are read upright, at most 40 million pixels, and never squashed."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import medbench
from _encodings import png, tiff  # type: ignore[import-not-found]
from medbench_datasets.readers.pictures.read import fit_square, fit_square_mask, read_picture, read_picture_size


def ramp(height: int = 20, width: int = 30) -> np.ndarray:
    return np.add.outer(np.arange(height) * 3, np.arange(width) * 5).astype(np.uint8)


def test_gray_png_comes_back_unchanged(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.png")

    pixels = read_picture(tmp_path / "a.png")

    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, ramp()[None])


def test_gray_repeats_in_three_channels_and_colour_keeps_its_order(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "gray.png")
    Image.new("RGB", (4, 3), (10, 20, 30)).save(tmp_path / "colour.png")

    np.testing.assert_array_equal(read_picture(tmp_path / "gray.png", channels=3), np.repeat(ramp()[None], 3, axis=0))
    assert read_picture(tmp_path / "colour.png", channels=3)[:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr", "LA", "RGBA"])
def test_other_colour_spaces_are_converted(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.tif"
    Image.new("RGB", (8, 6), (255, 255, 255)).convert(mode).save(path)

    assert read_picture(path).shape == (1, 6, 8)
    assert read_picture(path).min() >= 254
    assert read_picture(path, channels=3).shape == (3, 6, 8)


def test_a_cmyk_jpeg_is_not_inverted(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (250, 250, 250)).convert("CMYK").save(tmp_path / "a.jpg")

    assert read_picture(tmp_path / "a.jpg").min() > 240


def test_what_is_transparent_becomes_black(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 255, 255, 0)).save(tmp_path / "a.png")

    assert read_picture(tmp_path / "a.png").max() == 0


def test_sixteen_bits_are_scaled_by_their_own_range(tmp_path: Path) -> None:
    wide = np.array([[1000, 2000], [3000, 5000]], dtype=np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    Image.fromarray(wide.astype(np.float32)).save(tmp_path / "b.tif")

    assert read_picture(tmp_path / "a.png").tolist() == [[[0, 64], [128, 255]]]
    assert read_picture(tmp_path / "b.tif").tolist() == [[[0, 64], [128, 255]]]


def test_a_constant_sixteen_bit_picture_is_black(tmp_path: Path) -> None:
    Image.fromarray(np.full((3, 3), 700, dtype=np.uint16)).save(tmp_path / "a.png")

    assert read_picture(tmp_path / "a.png").max() == 0


def test_pixels_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, np.nan]], dtype=np.float32)).save(tmp_path / "a.tif")

    with pytest.raises(medbench.DataError, match=r"a\.tif holds pixels that are not finite"):
        read_picture(tmp_path / "a.tif")


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to stand upright
    Image.fromarray(ramp()).save(tmp_path / "a.png", exif=exif)

    np.testing.assert_array_equal(read_picture(tmp_path / "a.png")[0], np.rot90(ramp(), -1))


def test_a_jpeg_named_png_is_read(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "a.png", format="JPEG")

    assert read_picture(tmp_path / "a.png").shape == (1, 20, 30)


def header_only(width: int, height: int, colour: int = 0, bits: int = 8) -> bytes:
    """A PNG that ends behind its header: what is judged by the header never gets further."""
    whole = png(np.zeros((1, 1, {0: 1, 2: 3, 6: 4}[colour]), np.int64), bits=bits, colour=colour)
    header = whole[12:16] + struct.pack(">II", width, height) + whole[24:29]
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


@pytest.mark.parametrize("side", [6_400, 13_000, 20_000])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.jpg").write_bytes(header_only(side, side))

    with pytest.raises(medbench.DataError, match=r"a\.jpg is a picture of .*more than 40 million.*; put a smaller"):
        read_picture(tmp_path / "a.jpg")


def test_an_empty_file_a_page_a_folder_and_nothing_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "page.jpg").write_text("\n<!DOCTYPE html><html>please log in</html>")
    (tmp_path / "folder.jpg").mkdir()

    for name, words in {
        "empty": "0 bytes",
        "page": "web page",
        "folder": "no ordinary file",
        "absent": "missing",
    }.items():
        with pytest.raises(medbench.DataError, match=rf"{name}\.jpg .*{words}.*; "):
            read_picture(tmp_path / f"{name}.jpg")


def test_a_name_with_a_line_break_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "a\nb.jpg").write_bytes(b"x")

    with pytest.raises(medbench.DataError, match=r"a\\nb\.jpg"):
        read_picture(tmp_path / "a\nb.jpg")


def test_several_pages_are_refused(tmp_path: Path) -> None:
    page = Image.fromarray(ramp())
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])

    with pytest.raises(medbench.DataError, match="several pictures"):
        read_picture(tmp_path / "a.tif")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP"]))
def test_damage_gives_pixels_or_a_data_error(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(ramp()).save(buffer, format=kind)
    content = bytearray(buffer.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / "a.jpg").write_bytes(content[: data.draw(st.integers(0, len(content)))])

    try:
        pixels = read_picture(tmp_path / "a.jpg")
    except medbench.DataError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3


def test_a_jpeg_cut_in_half_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])

    with pytest.raises(medbench.DataError, match=r"a\.jpg is truncated.*; fetch it again"):
        read_picture(tmp_path / "a.jpg")


@settings(deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    size=st.integers(1, 50),
    dtype=st.sampled_from(["uint8", "float32"]),
)
def test_a_constant_picture_stays_constant_and_its_padding_has_the_fill(
    height: int, width: int, size: int, dtype: str
) -> None:
    pixels = np.full((2, height, width), 200, dtype=dtype)

    square = fit_square(pixels, size, fill=200)

    assert square.shape == (2, size, size)
    assert square.dtype == pixels.dtype
    assert np.abs(square.astype(float) - 200).max() < 1e-3


def test_a_circle_stays_a_circle() -> None:
    y, x = np.mgrid[:40, :100]
    circle = (((y - 20) ** 2 + (x - 50) ** 2) < 15**2).astype(np.uint8) * 255

    square = fit_square(circle[None], 50)[0] > 127

    assert square.any(0).sum() == square.any(1).sum()


def test_a_shrunk_checkerboard_is_gray() -> None:
    board = (np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8)

    assert np.ptp(fit_square(board[None], 16)[0, 2:-2, 2:-2]) <= 2


@settings(deadline=None)
@given(height=st.integers(8, 60), width=st.integers(8, 60), size=st.integers(8, 50))
def test_a_mask_goes_where_its_picture_goes(height: int, width: int, size: int) -> None:
    mask = np.ones((height, width), dtype=np.uint8)

    square = fit_square(mask[None].astype(np.float32), size)[0]
    fitted = fit_square_mask(mask, size)

    assert set(np.unique(fitted)) <= {0, 1}
    assert ((square > 0.75) <= (fitted == 1)).all()
    assert ((square < 0.25) <= (fitted == 0)).all()


def test_a_dtype_without_a_filter_is_a_programming_mistake() -> None:
    with pytest.raises(ValueError, match="uint8 or float32"):
        fit_square(np.zeros((1, 4, 4)), 2)


def written(path: Path, image: Image.Image, kind: str, **options: object) -> Path:
    image.save(path, kind, **options)
    return path


def blank(width: int, height: int, mode: str = "L") -> Image.Image:
    return Image.new(mode, (width, height))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (header_only(60_000, 660), "60000 x 660, longer than 30,000 pixels"),
        (header_only(39_999_999, 1), "39999999 x 1, longer than 30,000 pixels"),
        (header_only(6_300, 6_300, 6), "6300 x 6300 and would take 288 MB of memory, more than the 180 MB"),
        (header_only(6_300, 6_300, 2, 16), "6300 x 6300 and would take 447 MB of memory"),
    ],
)
def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(
    tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "a.png").write_bytes(content)

    with pytest.raises(medbench.DataError, match=rf"a\.png is a picture of {says}.*; put a smaller"):
        read_picture(tmp_path / "a.png", channels=3)


def test_a_webp_is_judged_by_the_canvases_that_its_decoder_keeps(tmp_path: Path) -> None:
    path = written(tmp_path / "a.webp", blank(16_383, 600, "RGB"), "WEBP", lossless=True, method=0)

    with pytest.raises(medbench.DataError, match=r"a\.webp is a picture of 16383 x 600 and would take 197 MB"):
        read_picture(path, channels=3)


def test_a_tiff_in_one_huge_tile_is_refused(tmp_path: Path) -> None:
    content = tiff(np.zeros((8, 8, 1), np.int64), bits=8, photometric=1, tile=16, deflate=True)
    for tag in (322, 323):
        content = content.replace(struct.pack("<HHII", tag, 4, 1, 16), struct.pack("<HHII", tag, 4, 1, 1 << 15))
    (tmp_path / "a.tif").write_bytes(content)

    with pytest.raises(medbench.DataError, match=r"a\.tif is a picture of 8 x 8 and would take 1,084 MB"):
        read_picture(tmp_path / "a.tif")


def test_a_jpeg_of_many_scans_is_refused_and_one_of_twelve_is_not(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jpg", blank(1_600, 1_600), "JPEG", progressive=True)
    whole = path.read_bytes()
    last = whole[whole.rindex(b"\xff\xda") : -2]
    assert read_picture(path).shape == (1, 1_600, 1_600)
    path.write_bytes(whole[:-2] + last * 400 + whole[-2:])

    with pytest.raises(medbench.DataError, match=r"a\.jpg is a JPEG of 1600 x 1600 in 40\d scans"):
        read_picture(path)


def test_a_thumbnail_within_a_jpeg_is_no_scan(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    blank(64, 64).save(thumbnail, "JPEG", progressive=True)
    path = written(tmp_path / "a.jpg", blank(6_000, 6_000), "JPEG", exif=b"Exif\0\0" + thumbnail.getvalue() * 16)

    assert read_picture_size(path)[:2] == (6_000, 6_000)


def test_large_pictures_are_read_and_fitted_in_little_memory(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
from medbench_datasets.readers.pictures.read import fit_square, fit_square_mask, read_picture, read_picture_size
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    fit_square(read_picture(Path(name)), 64)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    wide = Image.fromarray(np.zeros((3_000, 3_000), np.uint16))
    paths = [
        written(tmp_path / "16.png", wide, "PNG", compress_level=1),
        written(tmp_path / "long.png", blank(29_000, 200), "PNG"),
        written(tmp_path / "high.png", blank(200, 29_000), "PNG"),
    ]

    kilobytes = subprocess.run(
        [sys.executable, "-c", script, *map(str, paths)], capture_output=True, text=True, check=True
    ).stdout

    assert int(kilobytes) < 100_000


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.integers(1, 50),
    fill=st.integers(0, 255),
    dtype=st.sampled_from(["uint8", "float32"]),
)
def test_fitting_equals_padding_first(height: int, width: int, size: int, fill: int, dtype: str) -> None:
    pixels = np.random.default_rng(height * width).integers(0, 256, (1, height, width)).astype(dtype)
    side = max(height, width)
    square = np.full((side, side), fill, dtype)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels[0]
    mask = np.zeros((side, side), np.uint8)
    mask[top : top + height, left : left + width] = pixels[0] > 90

    expected = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fit_square(pixels, size, fill=fill)[0], expected)
    nearest = np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(fit_square_mask((pixels[0] > 90).astype(np.uint8), size), nearest)
