"""Pictures from a browser: the usual kinds are read, hostile ones are one line each."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from serve_client import made

from pixelwise.errors import InputError
from pixelwise.serve.decoding import check_claims
from pixelwise.serve.uploads import plain_name, plain_stem

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (24, 36, 3), dtype=np.uint8)


def encoded(image, kind, **options):
    found = io.BytesIO()
    image.save(found, kind, **options)
    return found.getvalue()


def tiff(values, **options):
    found = io.BytesIO()
    tifffile.imwrite(found, values, metadata=None, **options)
    return found.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(COLOUR), "JPEG", exif=exif)


GOOD = {
    "png": (encoded(Image.fromarray(COLOUR), "PNG"), (24, 36)),
    "jpeg": (encoded(Image.fromarray(COLOUR), "JPEG"), (24, 36)),
    "jpeg turned": (turned(), (36, 24)),
    "webp": (encoded(Image.fromarray(COLOUR), "WEBP"), (24, 36)),
    "bmp": (encoded(Image.fromarray(COLOUR), "BMP"), (24, 36)),
    "grey": (encoded(Image.fromarray(COLOUR[..., 0]), "PNG"), (24, 36)),
    "palette": (encoded(Image.fromarray(COLOUR).quantize(16), "PNG"), (24, 36)),
    "cmyk": (encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"), (24, 36)),
    "clear": (encoded(Image.fromarray(COLOUR).convert("RGBA"), "PNG"), (24, 36)),
    "1x1": (encoded(Image.fromarray(COLOUR[:1, :1]), "PNG"), (1, 1)),
    "1x8028": (encoded(Image.fromarray(np.tile(COLOUR[:1], (1, 223, 1))), "PNG"), (1, 8028)),
    "tiff": (tiff(COLOUR, photometric="rgb"), (24, 36)),
    "tiff deflate": (tiff(COLOUR, photometric="rgb", compression="zlib"), (24, 36)),
}  # fmt: skip


@pytest.fixture(scope="module")
def small():
    return made("fcn")


@pytest.mark.parametrize("kind", GOOD)
def test_usual_pictures_are_read_whatever_they_are_called(serving, small, kind):
    client = serving([small])
    content, size = GOOD[kind]
    opened = client.frame(client.send(content, "picture.exe"))
    assert (opened["height"], opened["width"]) == size
    assert opened["answers"][0]["mask"].size == size[0] * size[1]
    assert opened["image"][:4].tobytes() == b"\x89PNG"
    assert len(client.pixel(opened, size[0] - 1, size[1] - 1)["probabilities"]) == 3


def claims(height, width):
    """A PNG that says it is so large, and holds nothing."""

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def bomb():
    """A TIFF of 8 x 8 pixels whose only strip unpacks to 200 MB."""
    plain = bytearray(tiff(np.zeros((8, 8), np.uint8), compression="zlib"))
    packed = zlib.compress(bytes(200_000_000), 9)
    at = len(plain)
    plain += packed
    with tifffile.TiffFile(io.BytesIO(bytes(plain))) as file:
        tags = file.pages[0].tags
        places = {name: tags[name].valueoffset for name in ("StripOffsets", "StripByteCounts")}
        kinds = {name: "<H" if tags[name].dtype == 3 else "<I" for name in places}
    assert kinds["StripOffsets"] == "<I"
    struct.pack_into("<I", plain, places["StripOffsets"], at)
    tag = places["StripByteCounts"]
    struct.pack_into("<HI", plain, tag - 6, 4, 1)
    struct.pack_into("<I", plain, tag, len(packed))
    return bytes(plain)


def ome(folder):
    """A TIFF that says its pixels lie in another file."""
    secret = folder / "secret.ome.tif"
    tifffile.imwrite(secret, np.full((8, 8), 77, np.uint8))
    text = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
        ' UUID="urn:uuid:0"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT"'
        ' Type="uint8" SizeX="8" SizeY="8" SizeC="1" SizeZ="1" SizeT="1"><TiffData IFD="0">'
        f'<UUID FileName="{secret}">urn:uuid:1</UUID></TiffData></Pixels></Image></OME>'
    )
    return tiff(np.zeros((8, 8), np.uint8), description=text)


def animated():
    first, second = (Image.new("L", (9, 9), value) for value in (0, 9))
    return encoded(first, "GIF", save_all=True, append_images=[second])


def hostile(folder):
    png = GOOD["png"][0]
    return {
        "nothing known": b"hello, this is no picture",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
        "html": b"<!DOCTYPE html><script>1</script>",
        "cut off": png[: len(png) // 2],
        "cut off jpeg": GOOD["jpeg"][0][:60],
        "only a head": png[:26],
        "large": claims(60_000, 60_000),
        "long": claims(1, 20_000),
        "tiff bomb": bomb(),
        "tiff of another file": ome(folder),
        "tiff cut off": GOOD["tiff deflate"][0][:100],
        "tiff of nan": tiff(np.full((8, 8, 3), np.nan, np.float32), photometric="rgb"),
        "animated": animated(),
        "16 bit of unknown white": encoded(Image.fromarray(np.full((9, 9), 900, np.uint16)), "PNG"),
        "zip": b"PK\x03\x04" + bytes(100),
        "npy": b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "zeros": bytes(5000),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    }  # fmt: skip


def test_hostile_pictures_are_one_line_each_and_nothing_stays(serving, small, tmp_path):
    client = serving([small])
    folder = client.server._served._folder
    for kind, content in hostile(tmp_path).items():
        answer = client.send(content, "..%2f..%2fetc%2fpasswd")
        if answer.status_code == 200:
            assert kind == "tiff of nan", kind  # a picture without any data is one
            assert (client.frame(answer)["answers"][0]["mask"] == 255).all()
            continue
        assert answer.status_code == 400, (kind, answer.text)
        line = answer.json()["error"]
        assert line.startswith("passwd: "), (kind, line)
        assert "\n" not in line
        assert str(folder) not in line, (kind, line)
        assert client.get("/api/describe").status_code == 200
    assert len(list(folder.iterdir())) <= 1
    assert len(client.server._served._kept) <= 1


def test_what_is_sent_twice_is_kept_for_a_while_alone(serving, small):
    client = serving([small])
    folder = client.server._served._folder
    for _ in range(15):
        opened = client.frame(client.send(GOOD["1x1"][0]))
    assert len(list(folder.iterdir())) == len(client.server._served._kept) == 12
    assert client.pixel(opened, 0, 0)["row"] == 0


def test_pixels_are_limited(small, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(GOOD["png"][0])
    check_claims(path, "a", 0.000864, sent=True)
    with pytest.raises(InputError, match=r"a: has 24 rows and 36 columns; .* --max-megapixels"):
        check_claims(path, "a", 0.000863, sent=True)


@pytest.mark.parametrize(
    ("told", "name", "stem"),
    [
        ("a.png", "a.png", "a"),
        ("%E8%A1%97%20%E6%99%AF.jpg", "街 景.jpg", "街_景"),
        ("../../etc/passwd", "passwd", "passwd"),
        ("C:\\fakepath\\b.tif", "b.tif", "b"),
        ("%2e%2e%2f%2e%2e", "picture", "picture"),
        ("", "picture", "picture"),
        (None, "picture", "picture"),
        ("a%00b%0a.png", "a_b_.png", "a_b"),
        ("%ff%fe", "��", "picture"),
        ("n" * 500 + ".png", "n" * 80, "n" * 80),
        (".data.yaml", "data.yaml", "data"),
        ("%E8%A1%97" * 200, "街" * 80, "街" * 53),
    ],
)
def test_names_are_only_names(told, name, stem):
    assert plain_name(told) == name
    assert plain_stem(name) == stem


def damaged(count):
    """Usual pictures with bytes changed, cut out, put in twice or cut off, by chance."""
    random = np.random.default_rng(1)
    kinds = list(GOOD)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        content = bytearray(GOOD[kind][0])
        places = random.integers(0, len(content), 1 + number % 7)
        for place in map(int, places):
            if number % 4 == 0:
                content[place] = int(random.integers(0, 256))
            elif number % 4 == 1:
                del content[place : place + int(random.integers(1, 40))]
            elif number % 4 == 2:
                content[place:place] = content[place : place + 64]
            else:
                content[min(place, 64)] ^= 1 << int(random.integers(0, 8))
        yield f"{number} {kind}", bytes(content) or b"x"


@pytest.mark.slow
def test_a_hundred_damaged_pictures_never_stop_the_server(serving, small):
    client = serving([small])
    folder = client.server._served._folder
    for kind, content in damaged(117):
        answer = client.send(content, "a.png")
        assert answer.status_code in (200, 400), (kind, answer.text)
        if answer.status_code == 400:
            line = answer.json()["error"]
            assert "\n" not in line
            assert str(folder) not in line, (kind, line)
        assert client.get("/api/describe").status_code == 200, kind
    assert len(list(folder.iterdir())) == len(client.server._served._kept)
