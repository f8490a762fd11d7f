"""Archives and pictures from outside that lie, bomb or break must end in one clear error."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from builders.pictures import drawing, drawn_list
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from valm.core.manifest import read_manifest
from valm.core.seeding import numpy_generator
from valm.errors import InputError
from valm.ingest.picture_sources import RawPicture
from valm.ingest.pictures.decoding import Rejected, decode_picture, encode_png
from valm.ingest.pictures.numbering import iterate_pictures, read_picture_list
from valm.ingest.raw.archives import read_member, read_members

CAP = 1 << 20


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            info.size = info.size or len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        member("/etc/passwd"),
        member("../../outside"),
        member("a/../../outside"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("hard", tarfile.LNKTYPE, "good"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: info.name,
)
def test_members_that_are_no_plain_files_are_passed_over(
    tmp_path: Path, hostile: tarfile.TarInfo
) -> None:
    data = b"" if hostile.type != tarfile.REGTYPE else b"bad"
    path = tar_of(tmp_path / "a.tgz", (hostile, data), (member("good"), b"fine"))
    assert list(read_members(path, lambda name: True, CAP)) == [("good", b"fine")]
    assert list(tmp_path.iterdir()) == [path]


def test_a_member_over_the_cap_is_refused_from_its_header(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tgz", (member("big"), bytes(CAP + 1)))
    with pytest.raises(InputError, match="more than the cap"):
        read_member(path, "big", CAP)


def test_a_zip_bomb_and_a_lying_zip_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("bomb", bytes(50 * CAP))
    with pytest.raises(InputError, match="more than the cap"):
        read_member(path, "bomb", CAP)
    lying = path.read_bytes().replace((50 * CAP).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(lying)
    with pytest.raises(InputError):
        read_member(path, "bomb", CAP)


def test_a_package_cut_anywhere_gives_the_whole_member_or_an_error(tmp_path: Path) -> None:
    noise = [numpy_generator(1, name).bytes(5000) for name in ("one", "two")]
    whole = tar_of(tmp_path / "a.tgz", (member("one"), noise[0]), (member("two"), noise[1]))
    data = whole.read_bytes()
    errors = 0
    cuts = range(1, len(data), 64)
    for length in cuts:
        whole.write_bytes(data[:length])
        try:
            assert read_member(whole, "two", CAP) == noise[1]
        except InputError:
            errors += 1
    assert errors > 0.9 * len(cuts)  # what is left after the member is its end mark


def plain_tar(name: str = "one", data: bytes = b"fine") -> bytearray:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for title in (name, "two"):
            info = member(title)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return bytearray(buffer.getvalue())


def with_size(tar: bytearray, size: bytes) -> bytearray:
    """The same archive, the first header claiming another size under a right checksum."""
    tar[124:136] = size
    tar[148:156] = b" " * 8
    tar[148:156] = b"%06o\0 " % sum(tar[:512])
    return tar


def cut_before_end_mark(tar: bytearray) -> bytearray:
    return tar[: 4 * 512]


def broken_second_header(tar: bytearray) -> bytearray:
    tar[2 * 512 : 2 * 512 + 8] = b"\xff" * 8
    return tar


@pytest.mark.parametrize(
    "tar",
    [
        cut_before_end_mark(plain_tar()),
        broken_second_header(plain_tar()),
        with_size(plain_tar("n" * 300), b"77777777777\0"),  # a long name of 8 GiB
        with_size(plain_tar(), b"\xff" * 12),  # -1 in base 256
        with_size(plain_tar(), b"77777777777\0"),
    ],
    ids=["no end mark", "broken header", "endless name", "negative size", "endless member"],
)
def test_what_tarfile_forgives_is_an_error_here(tmp_path: Path, tar: bytearray) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar)
    with pytest.raises(InputError):
        list(read_members(path, lambda name: True, CAP))


def test_an_encrypted_zip_and_a_missing_archive_are_input_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("x", b"secret")
    data = bytearray(path.read_bytes())
    for place in (6, data.index(b"PK\x01\x02") + 8):
        data[place] |= 1  # the flag of encryption
    path.write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        read_member(path, "x", CAP)
    with pytest.raises(InputError, match="missing"):
        read_member(tmp_path / "b.whl", "x", CAP)


@pytest.mark.parametrize("data", [b"", b"<html>not here</html>", b"!<arch>\nnonsense", b"\x1f\x8b"])
def test_what_is_no_package_is_an_input_error(tmp_path: Path, data: bytes) -> None:
    for ending in ("tgz", "whl", "deb"):
        path = tmp_path / f"a.{ending}"
        path.write_bytes(data)
        with pytest.raises(InputError):
            read_member(path, "x", CAP)


def png(size: tuple[int, int] = (40, 40), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def header_claiming(width: int, height: int) -> bytes:
    """A small PNG whose header claims a huge size: a decompression bomb in the making."""
    import struct
    import zlib

    data = bytearray(png())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"", "not_a_picture"),
        (b"<html><img></html>", "not_a_picture"),
        (header_claiming(60_000, 60_000), "too_large"),
        (png((4, 4)), "too_small"),
        (png((400, 20)), "too_long"),
        (png((64, 64))[:70], "damaged"),
        (encode_png(Image.new("RGBA", (40, 40))), "empty"),
    ],
)
def test_bad_pictures_are_rejected_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        decode_picture(data, maximum_megapixels=1.0, side_pixels=32)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_becomes_eight_bit_colour(mode: str) -> None:
    image = decode_picture(png((40, 30), mode), maximum_megapixels=1.0, side_pixels=20)
    assert image.mode in ("RGB", "RGBA") and image.size == (20, 15)


def test_cmyk_jpeg_and_animated_webp_give_one_picture() -> None:
    for save in ({"format": "JPEG"}, {"format": "WEBP", "save_all": True}):
        buffer = io.BytesIO()
        first = Image.new("RGBA", (40, 40), "teal")
        first = first.convert("RGB").convert("CMYK") if save["format"] == "JPEG" else first
        extra = (
            {}
            if save["format"] == "JPEG"
            else {"append_images": [Image.new("RGBA", (40, 40), "red")]}
        )
        first.save(buffer, **save, **extra)  # type: ignore[arg-type]
        decoded = decode_picture(buffer.getvalue(), 1.0, 32)
        assert decoded.size == (32, 32) and encode_png(decoded).startswith(b"\x89PNG")


def test_nothing_but_pixels_comes_along() -> None:
    buffer = io.BytesIO()
    comment = PngInfo()
    comment.add_text("Comment", "<script>" * 99)
    picture = Image.new("RGB", (40, 40), "teal")
    picture.save(buffer, "PNG", icc_profile=b"profile" * 99, pnginfo=comment, exif=b"Exif\0\0MM\0*")
    stored = encode_png(decode_picture(buffer.getvalue(), 1.0, 32))
    assert stored == encode_png(picture.resize((32, 32)))


def test_mutated_pictures_are_decoded_or_rejected() -> None:
    whole = [png((64, 64), mode) for mode in ("RGBA", "P", "I;16")]
    for ending in ("JPEG", "WEBP", "GIF"):
        buffer = io.BytesIO()
        Image.radial_gradient("L").resize((64, 64)).convert("RGB").save(buffer, ending)
        whole.append(buffer.getvalue())
    draw = numpy_generator(1, "mutations")
    outcomes = set()
    for turn in range(600):
        data = np.frombuffer(whole[turn % len(whole)], np.uint8).copy()
        places = draw.integers(0, draw.choice((60, len(data))), size=draw.choice((1, 4, 30)))
        data[places % len(data)] = draw.integers(0, 256, size=len(places))
        try:
            outcomes.add(decode_picture(data.tobytes(), 1.0, 32).size)
        except Rejected as reason:
            outcomes.add(str(reason))
    assert {"not_a_picture", "damaged", (32, 32)} <= outcomes


def test_hostile_texts_become_clean_lines_and_counts_add_up(tmp_path: Path) -> None:
    texts = ["two\nlines\t\x00here", "\ud800lone", "\u202eturned", "x" * 5000, " \x07 "]
    pictures = [RawPicture(drawing(n), "", (text,), f"drawing {n}") for n, text in enumerate(texts)]
    table = read_picture_list(drawn_list(tmp_path, 0, pictures)).column("caption").to_pylist()
    assert table == ["two lines here", "lone", "turned", "x" * 1000]
    written = read_manifest(tmp_path / "drawn" / "pictures.manifest.json")
    assert written.facts["rejected"] == {"no_caption": 1} and written.rows == 4


def test_a_damaged_shard_names_the_place(tmp_path: Path) -> None:
    manifest = drawn_list(tmp_path, count=3)
    (shard,) = tmp_path.rglob("*.tar")
    data = bytearray(shard.read_bytes())
    with tarfile.open(shard) as tar:
        second = tar.getmember("000000001.png")
    shard.write_bytes(data[: second.offset_data + 20])
    with pytest.raises(InputError, match=r"00000\.tar near byte [\d,]+"):
        list(iterate_pictures(manifest))
    data[second.offset_data + 40 : second.offset_data + 60] = bytes(20)
    shard.write_bytes(data)
    with pytest.raises(InputError, match="stored picture 1 is damaged"):
        list(iterate_pictures(manifest))
    shard.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        list(iterate_pictures(manifest))
    manifest.with_name("list.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        read_picture_list(manifest)


def test_a_shard_cut_at_any_block_gives_all_pictures_or_an_error(tmp_path: Path) -> None:
    manifest = drawn_list(tmp_path, count=3)
    (shard,) = tmp_path.rglob("*.tar")
    data = shard.read_bytes()
    whole = [image.tobytes() for _, image in iterate_pictures(manifest)]
    errors = 0
    cuts = range(0, len(data.rstrip(b"\0")), 512)
    for length in cuts:
        shard.write_bytes(data[:length])
        try:
            assert [image.tobytes() for _, image in iterate_pictures(manifest)] == whole
        except InputError:
            errors += 1
    assert errors > 0.7 * len(cuts)  # the last picture's caption and metadata are not read
