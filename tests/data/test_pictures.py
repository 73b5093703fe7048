"""Pictures are read to the pixel: every mode of Pillow, any depth, transparency, rotation and frames."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ablation.data.arrays import RawImages
from ablation.data.readers import read_source
from ablation.errors import DatasetError
from ablation.grid.dataset_settings import DatasetSettings


def read(folder: Path, **settings: Any) -> RawImages:
    return read_source(DatasetSettings(name="folder", path=str(folder), **settings))


def save(folder: Path, *pictures: Image.Image, suffix: str = "png", **options: Any) -> None:
    """Save pictures of a class ``a``, and the first of them as that of a class ``b``, too."""
    for number, (label, picture) in enumerate([*(("a", p) for p in pictures), ("b", pictures[0])]):
        file = folder / label / f"{number}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        picture.save(file, **options)


def of_mode(mode: str, *values: Any) -> Image.Image:
    """Return a picture of one row, with these pixels."""
    picture = Image.new(mode, (len(values), 1))
    for x, value in enumerate(values):
        picture.putpixel((x, 0), value)
    return picture


def palette(*colours: tuple[int, int, int]) -> Image.Image:
    picture = of_mode("P", *range(len(colours)))
    picture.putpalette([value for colour in colours for value in colour])
    return picture


def grey(dtype: str, *values: float) -> Image.Image:
    return Image.fromarray(np.array([values], dtype))


RED, GREEN, BLUE, WHITE, PINK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (255, 128, 128)
SEE_THROUGH = palette(RED, GREEN)
SEE_THROUGH.info["transparency"] = 1


@pytest.mark.parametrize(
    ("picture", "suffix", "expected"),
    [
        (of_mode("1", 0, 255), "png", [0, 255]),
        (of_mode("L", 0, 7, 255), "png", [0, 7, 255]),
        (of_mode("LA", (0, 255), (0, 0), (100, 255), (55, 128)), "png", [0, 255, 100, 155]),
        (palette(RED, BLUE), "png", [RED, BLUE]),
        (SEE_THROUGH, "png", [RED, WHITE]),
        (SEE_THROUGH, "gif", [RED, WHITE]),
        (of_mode("RGB", RED, (1, 2, 3)), "png", [RED, (1, 2, 3)]),
        (of_mode("RGBA", (*RED, 255), (*RED, 0), (*RED, 127)), "png", [RED, WHITE, PINK]),
        (of_mode("RGBX", (*RED, 0), (*BLUE, 9)), "tiff", [RED, BLUE]),
        (of_mode("CMYK", (0, 255, 255, 0), (0, 0, 0, 0), (0, 0, 0, 255)), "tiff", [RED, WHITE, (0, 0, 0)]),
        (of_mode("YCbCr", (255, 128, 128), (100, 128, 128)), "tiff", [WHITE, (100, 100, 100)]),
        (of_mode("LAB", (255, 128, 128), (0, 128, 128)), "tiff", [WHITE, (0, 0, 0)]),
        (grey("uint16", 0, 13107, 65535), "png", [0.0, 0.2, 1.0]),
        (grey("uint16", 0, 13107, 65535), "tiff", [0.0, 0.2, 1.0]),
        (grey(">u2", 0, 13107, 65535), "tiff", [0.0, 0.2, 1.0]),
        (grey("uint16", 0, 819, 4095), "tiff", [0.0, 0.2, 1.0]),
        (grey("uint16", 0, 51, 255), "tiff", [0.0, 0.2, 1.0]),
        (grey("uint16", 0, 1), "png", [0.0, 1.0]),
        (grey("uint16", 0, 3, 15), "png", [0.0, 0.2, 1.0]),
        (grey("int32", 0, 13107, 65535), "tiff", [0.0, 0.2, 1.0]),
        (grey("float32", 0, 0.2, 1), "tiff", [0.0, 0.2, 1.0]),
        (of_mode("L", 0, 7, 255), "pgm", [0, 7, 255]),
        (of_mode("L", 0, 7, 255), "bmp", [0, 7, 255]),
        (of_mode("RGB", RED, GREEN), "ppm", [RED, GREEN]),
        (of_mode("RGB", RED, GREEN), "jp2", [RED, GREEN]),
    ],
)  # fmt: skip
def test_every_mode_has_the_pixels_that_it_shows(
    picture: Image.Image, suffix: str, expected: list[Any], tmp_path: Path
) -> None:
    options = {"irreversible": False} if suffix == "jp2" else {}
    save(tmp_path, picture, suffix=suffix, **options)
    found = read(tmp_path).images
    assert found.dtype == (np.float32 if isinstance(expected[0], float) else np.uint8)
    np.testing.assert_allclose(found[0, 0].squeeze(), expected, atol=1 if picture.mode == "LAB" else 1e-6)


@pytest.mark.parametrize("mode", ["HSV", "PA", "La", "RGBa", "I;16B", "I;16L", "I;16N"])
def test_modes_that_no_file_has_are_read_as_well(mode: str, tmp_path: Path) -> None:
    """As a library of datasets may give them."""
    from ablation.data.pictures import PictureReader

    pixel: dict[str, Any] = {"HSV": (0, 255, 255), "La": (0, 0), "RGBa": (255, 0, 0, 255)}
    expected: dict[str, Any] = {"HSV": RED, "PA": WHITE, "La": [255], "RGBa": RED}
    reader = PictureReader(DatasetSettings())
    read = reader.read(mode, Image.new(mode, (1, 1), pixel.get(mode, 0)))
    assert read is not None
    assert reader.stack({"train": [read]})["train"][0, 0, 0].tolist() == list(expected.get(mode, [0.0]))


def test_the_scale_of_deep_pictures_is_that_of_all_of_them_and_said(tmp_path: Path) -> None:
    """A dark picture stays dark, and its values are not stretched to its own range."""
    save(tmp_path, grey("uint16", 0, 4000), grey("uint16", 10, 40), grey("uint8", 0, 51))
    found = read(tmp_path)
    np.testing.assert_allclose(found.images[1, 0, :, 0], [10 / 4095, 40 / 4095])
    np.testing.assert_allclose(found.images[2, 0, :, 0], [0, 0.2])  # 8 bits have their own range
    assert found.notes == (
        "3 pictures with more than 8 bits per channel: the values, from 0 to 4,000, are divided by 4,095 (12 bits).",
    )


def save_deep_colours(folder: Path, *values: int) -> None:
    """Save a PNG in colour with 16 bits per channel, which Pillow reads and does not write."""
    folder.mkdir()
    data = zlib.compress(b"\0" + np.repeat(np.array(values, ">u2"), 3).tobytes())
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", len(values), 1, 16, 2, 0, 0, 0)),
        (b"IDAT", data),
        (b"IEND", b""),
    )
    parts = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    (folder / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_colours_of_16_bits_are_read_by_their_upper_8(tmp_path: Path) -> None:
    save_deep_colours(tmp_path / "a", 0, 65535)
    save_deep_colours(tmp_path / "b", 255, 4095)  # a dark one
    assert read(tmp_path).images[:, 0, :, 0].tolist() == [[0, 255], [0, 15]]


@pytest.mark.parametrize(("value", "most"), [(4095, "4,095"), (255, "255"), (16383, "16,383")])
def test_colours_of_fewer_than_16_bits_in_16_are_refused(value: int, most: str, tmp_path: Path) -> None:
    for label in "ab":
        save_deep_colours(tmp_path / label, 0, value)
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"2 pictures in colour with 16 bits per channel: no value is above {most} (a/0.png, b/0.png). Of such colours, "
        "only the upper 8 bits are read, so that these pictures would be nearly black. Scale all pictures in the same way "
        "to whole numbers from 0 to 65535, or save them with 8 bits."
    )


def test_floats_that_were_divided_by_255_twice_are_refused(tmp_path: Path) -> None:
    save(tmp_path, grey("float32", 0, 1 / 255), suffix="tiff")
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: images are floats of which none is above 0.0039, that is 1/255 or less, as if they were divided by "
        "255 twice. Expected floats from 0 to 1; multiply all images by 255."
    )


@pytest.mark.parametrize(
    ("picture", "values"),
    [
        (grey("int32", -1024, 3071), "from -1024 to 3071; expected whole numbers from 0"),
        (grey("float32", 0, 255), "from 0 to 255; expected floats from 0 to 1"),
        (grey("float32", 0, np.nan), "from nan to nan; expected floats from 0 to 1"),
    ],
)
def test_values_without_a_known_scale_are_refused(picture: Image.Image, values: str, tmp_path: Path) -> None:
    save(tmp_path, picture, suffix="tiff")
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'a' / '0.tiff'} has values {values}. Scale all pictures in the same way to whole numbers from 0 "
        "to 65535 and save them with 16 bits, or read arrays (npz)."
    )


def test_transparent_pixels_are_white_and_counted(tmp_path: Path) -> None:
    save(tmp_path, of_mode("RGBA", (0, 0, 0, 0)), of_mode("RGBA", (9, 9, 9, 255)))
    assert read(tmp_path).notes == (
        "2 pictures have transparent pixels, which are placed on white: a/0.png, b/2.png.",
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_pictures_are_turned_as_their_camera_was(suffix: str, tmp_path: Path) -> None:
    sideways = np.zeros((8, 16, 3), np.uint8)
    sideways[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    save(tmp_path, Image.fromarray(sideways), suffix=suffix, exif=exif)
    image = read(tmp_path).images[0]
    assert image.shape == (16, 8, 3)
    assert image[:7].mean() > 250
    assert image[9:].mean() < 5


def test_the_first_frame_of_several_is_used_and_said(tmp_path: Path) -> None:
    frames = [Image.new("L", (2, 2), value) for value in (100, 200)]
    save(tmp_path, frames[0], suffix="gif", save_all=True, append_images=frames[1:])
    found = read(tmp_path)
    assert (found.images == 100).all()
    assert found.notes == ("2 pictures have several frames, of which the first is used: a/0.gif, b/1.gif.",)


def test_one_test_part_in_grey_is_said(tmp_path: Path) -> None:
    save(tmp_path / "train", of_mode("RGB", RED))
    save(tmp_path / "test", of_mode("L", 100))
    found = read(tmp_path)
    assert found.notes == (
        "The colours differ between the parts: all test pictures are grey, but training pictures are in colour.",
    )


def damaged(folder: Path) -> None:
    """Write five pictures, of which two cannot be read."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    save(folder, *map(Image.fromarray, noise))
    (folder / "a" / "8.png").write_bytes(b"no picture")
    content = io.BytesIO()
    Image.fromarray(noise[0]).save(content, "JPEG")
    (folder / "a" / "9.jpg").write_bytes(content.getvalue()[:700])  # cut off


def test_broken_pictures_stop_the_study_or_are_left_out_and_counted(tmp_path: Path) -> None:
    damaged(tmp_path)
    with pytest.raises(DatasetError) as error:
        read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'a' / '8.png'} cannot be read as an image: ")
    assert str(error.value).endswith(". Remove it, or set dataset.on_error: skip.")
    found = read(tmp_path, on_error="skip")
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.notes == (
        "2 pictures cannot be read and are left out, because of on_error: skip: a/8.png, a/9.jpg.",
    )


def test_postscript_under_the_name_of_a_picture_is_not_run(tmp_path: Path) -> None:
    save(tmp_path, of_mode("L", 1))
    (tmp_path / "a" / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(DatasetError, match="cannot be read as an image: cannot identify image file"):
        read(tmp_path)


def test_a_note_names_pictures_of_a_csv_file_by_its_lines(tmp_path: Path) -> None:
    save(tmp_path, of_mode("RGBA", (0, 0, 0, 0)), of_mode("RGBA", (9, 9, 9, 255)))
    (tmp_path / "labels.csv").write_text("file,label\na/0.png,x\na/1.png,y\n")
    found = read_source(DatasetSettings(name="csv", path=str(tmp_path / "labels.csv")))
    assert found.notes == (
        "1 picture has transparent pixels, which are placed on white: labels.csv, line 2: a/0.png.",
    )
