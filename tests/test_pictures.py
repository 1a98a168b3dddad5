"""Pictures are read upright, at most 40 million pixels, and never squashed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import medbench
from medbench_datasets.readers.pictures import fit_square, fit_square_mask, read_picture


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


@pytest.mark.parametrize("side", [6_400, 13_000, 20_000])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    Image.new("1", (side, side)).save(tmp_path / "a.jpg", format="PNG")

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
