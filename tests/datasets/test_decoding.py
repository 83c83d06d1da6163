"""Images of all modes, orientations and formats, and files that are none."""

from __future__ import annotations

import io
import os
import socket

import cv2
import mmcv
import numpy as np
import pytest
from helpers.image_files import encoded, png, png_header, tiff
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.fileio import BaseStorageBackend, register_backend
from PIL import Image, ImageCms, ImageOps

from mmmlc.datasets.decoding import COLOR_TYPES, decode, read_rgb
from mmmlc.datasets.image_files import BrokenImageError, MissingImageError, read_image_file
from mmmlc.datasets.image_modes import to_eight_bits
from mmmlc.datasets.transforms import LoadImage

BACKENDS = ('pillow', 'cv2')
cases = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
sides = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)


def pixels(seed: int, *shape: int, most: int = 256) -> np.ndarray:
    dtype = np.uint8 if most <= 256 else np.uint16
    return np.random.default_rng(seed).integers(0, most, shape, dtype=dtype)


def rgb(content: bytes, **options) -> np.ndarray:
    """As the loader decodes it, RGB; by both backends, which have to agree."""
    one, other = (decode(content, backend=backend, **options).pixels for backend in BACKENDS)
    np.testing.assert_array_equal(one, other)
    assert one.dtype == np.uint8 and one.shape[2] == 3
    return one[..., ::-1]


# --- ordinary images: the numbers of before


@cases
@given(
    seed=seeds,
    width=sides,
    height=sides,
    mode=st.sampled_from(('RGB', 'L')),
    file_format=st.sampled_from(('JPEG', 'PNG')),
    options=st.fixed_dictionaries(
        {
            'quality': st.integers(20, 100),
            'subsampling': st.integers(0, 2),
            'progressive': st.booleans(),
            'optimize': st.booleans(),
        }
    ),
    orientation=st.sampled_from((None, 1, 2, 3, 4, 5, 6, 7, 8)),
    color_type=st.sampled_from(COLOR_TYPES),
    backend=st.sampled_from(BACKENDS),
)
def test_ordinary_images_are_those_of_mmcv(
    seed, width, height, mode, file_format, options, orientation, color_type, backend
):
    image = Image.fromarray(pixels(seed, height, width, 3)).convert(mode)
    if orientation is not None:
        options['exif'] = Image.Exif()
        options['exif'][0x0112] = orientation
    content = encoded(image, file_format, **options)
    found = decode(content, color_type, backend)
    # OpenCV now decodes JPEG alone, which Pillow did for the others with it as well.
    reference = backend if file_format == 'JPEG' else 'pillow'
    expected = mmcv.imfrombytes(content, color_type, backend=reference)
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.pixels.dtype == expected.dtype
    assert found.orientation == (orientation or 1)


def test_backends_differ_in_the_grey_of_colour_jpeg():
    image = Image.fromarray(pixels(0, 12, 16, 3)).resize((160, 120))
    content = encoded(image, 'JPEG', quality=90)
    one, other = (decode(content, 'grayscale', b).pixels.astype(int) for b in BACKENDS)
    inside = (one > 20) & (one < 235)  # elsewhere colours are cut off, and their luma is not
    assert 0 < np.abs(one - other)[inside].max() <= 2


# --- modes


@cases
@given(
    seed=seeds,
    width=sides,
    height=sides,
    bits=st.sampled_from((1, 2, 4, 8, 16)),
    colour=st.booleans(),
    transparent=st.booleans(),
)
def test_png_of_all_depths(seed, width, height, bits, colour, transparent):
    colour = colour and bits >= 8  # the format has no others
    shape = (height, width, 3) if colour else (height, width)
    numbers = pixels(seed, *shape, most=1 << bits)
    key = tuple(numbers.reshape(-1, 3 if colour else 1)[0].tolist()) if transparent else ()
    content = png(numbers, bits, key)
    if bits == 16 and colour and transparent:
        with pytest.raises(BrokenImageError, match='mode RGB;16B, 16 bits, with a transparent'):
            decode(content)
        return
    # By the range of the type: all bits set is white. Of 16 bits the upper 8.
    expected = numbers >> 8 if bits == 16 else np.round(numbers * (255 / ((1 << bits) - 1)))
    if transparent:
        equal = numbers == np.array(key)
        expected = np.where(equal.all(-1, keepdims=True) if colour else equal, 255, expected)
    found = rgb(content)
    np.testing.assert_array_equal(found if colour else found[..., 0], expected)
    assert colour or (found == found[..., :1]).all()


@cases
@given(
    seed=seeds,
    width=sides,
    height=sides,
    mode=st.sampled_from(('LA', 'RGBA')),
    file_format=st.sampled_from(('PNG', 'TIFF', 'WEBP')),
)
def test_alpha_is_laid_on_white(seed, width, height, mode, file_format):
    numbers = pixels(seed, height, width, len(mode))
    options = {'lossless': True, 'exact': True} if file_format == 'WEBP' else {}
    content = encoded(Image.fromarray(numbers, mode=None), file_format, **options)
    colour, alpha = numbers[..., :-1].astype(float), numbers[..., -1:] / 255
    expected = alpha * colour + (1 - alpha) * 255
    np.testing.assert_allclose(rgb(content), np.broadcast_to(expected, (height, width, 3)), atol=1)


@cases
@given(seed=seeds, width=sides, height=sides, gif=st.booleans(), several=st.booleans())
def test_palettes_with_transparency(seed, width, height, gif, several):
    palette, indices = pixels(seed, 8, 3), pixels(seed + 1, height, width, most=8)
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    alpha = np.full(8, 255)
    alpha[3] = 0
    if several and not gif:
        alpha[5] = 128
    # PNG has an alpha for each colour, GIF one colour that is not shown.
    transparency = 3 if gif else bytes(alpha.tolist())
    content = encoded(image, 'GIF' if gif else 'PNG', transparency=transparency, optimize=False)
    share = alpha[indices][..., None] / 255
    np.testing.assert_allclose(rgb(content), share * palette[indices] + (1 - share) * 255, atol=1)


def test_rare_modes_of_pillow():
    """Those that no file gives, too: all grey levels of 16 bits, premultiplied alpha, HSV."""
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for mode, numbers in (('I;16', levels), ('I;16B', levels.astype('>u2'))):
        image = Image.frombytes(mode, (256, 256), numbers.tobytes())
        np.testing.assert_array_equal(np.asarray(to_eight_bits(image)), levels >> 8)
    half = Image.new('RGBA', (1, 1), (200, 0, 0, 128))
    expected = 128 / 255 * np.array([200, 0, 0]) + 127
    grey_half = Image.new('LA', (1, 1), (200, 128))
    for image, shown in (
        (half, expected),
        (half.convert('RGBa'), expected),
        (grey_half, [128 / 255 * 200 + 127] * 3),
        (grey_half.convert('La'), [128 / 255 * 200 + 127] * 3),
        (Image.new('RGB', (1, 1), 'red').convert('HSV'), [255, 0, 0]),
        (Image.new('RGB', (1, 1), 'red').convert('YCbCr'), [255, 0, 0]),
        (Image.new('RGBX', (1, 1), (9, 8, 7, 0)), [9, 8, 7]),
        (Image.new('1', (1, 1), 1), [255] * 3),
    ):
        found = np.asarray(to_eight_bits(image).convert('RGB'))[0, 0]
        np.testing.assert_allclose(found, shown, atol=1.5, err_msg=image.mode)
    palette = Image.new('PA', (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((0, 0), (1, 255))
    found = np.asarray(to_eight_bits(palette))
    assert found.tolist() == [[[40, 50, 60], [255, 255, 255]]]  # the second is transparent


@cases
@given(
    seed=seeds,
    width=st.integers(1, 20).map(lambda half: 2 * half),
    height=sides,
    order=st.sampled_from('<>'),
    white_is_zero=st.booleans(),
    bits=st.sampled_from((8, 12, 16)),
)
def test_tiff_of_grey_numbers(seed, width, height, order, white_is_zero, bits):
    numbers = pixels(seed, height, width, most=1 << bits)
    photometric = 0 if white_is_zero else 1
    content = tiff(numbers, order, photometric, bits)
    if (bits == 12 and (white_is_zero or order == '>')) or (
        bits == 16 and white_is_zero and order == '>'
    ):
        with pytest.raises(BrokenImageError, match=f'TIFF .*1 channels of {bits} bits, unsigned'):
            decode(content)
        return
    grey = numbers >> (bits - 8)
    np.testing.assert_array_equal(rgb(content)[..., 0], 255 - grey if white_is_zero else grey)


@cases
@given(
    seed=seeds,
    low=st.floats(-300, 300, width=32),
    high=st.floats(-300, 300, width=32),
    order=st.sampled_from('<>'),
)
def test_float_tiff(seed, low, high, order):
    low, high = sorted((low + 0.0, high + 0.0))  # -0.0 becomes 0.0
    numbers = np.random.default_rng(seed).uniform(low, high, (5, 7)).astype(np.float32)
    numbers[0, :2] = low, high
    content = tiff(numbers, order)
    if low < 0 or high > 255:
        with pytest.raises(BrokenImageError, match=r'mode F \(float\) with values from .* to '):
            decode(content)
        return
    scale = 255.0 if high <= 1 else 1.0
    expected = np.round(numbers.astype(np.float64) * scale)
    np.testing.assert_array_equal(rgb(content)[..., 0], expected)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_float_that_is_no_number(bad):
    numbers = np.full((4, 4), 0.5, np.float32)
    numbers[2, 2] = bad
    with pytest.raises(BrokenImageError, match=f'mode F .*{bad}'):
        decode(tiff(numbers))


def test_integers_of_32_bits_have_no_white():
    numbers = np.arange(20, dtype=np.int32).reshape(4, 5)
    np.testing.assert_array_equal(rgb(tiff(numbers))[..., 0], numbers)
    for wrong in (numbers - 1, numbers * 1000):
        with pytest.raises(BrokenImageError, match=r'mode I \(32-bit integers\) with values from'):
            decode(tiff(wrong))
    with pytest.raises(BrokenImageError, match='3 channels of 32 bits, float, photometric 2'):
        decode(tiff(np.zeros((4, 4, 3), np.float32), photometric=2))


def test_pgm_of_16_bits():
    levels = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    content = b'P5 16 16 65535\n' + levels.astype('>u2').tobytes()
    np.testing.assert_array_equal(rgb(content)[..., 0].ravel(), np.arange(256))
    # 10 bits: Pillow brings them to 16.
    content = b'P5 2 1 1023\n' + np.array([0, 1023], '>u2').tobytes()
    assert rgb(content)[0, :, 0].tolist() == [0, 255]


def test_16_bit_colour():
    numbers = pixels(0, 6, 7, 3, most=65536)
    np.testing.assert_array_equal(rgb(tiff(numbers, photometric=2)), numbers >> 8)
    np.testing.assert_array_equal(rgb(tiff(numbers, '>', photometric=2)), numbers >> 8)


@pytest.mark.parametrize('channels', [1, 3])
def test_jpeg2000_of_16_bits(channels):
    """Of colour, Pillow makes what is nearly white black."""
    numbers = pixels(0, 40, 33, channels, most=65536)
    numbers[0, :, :] = 65500
    _, content = cv2.imencode('.jp2', numbers, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    if channels == 3:
        with pytest.raises(BrokenImageError, match='JPEG2000 with 3 channels of 16 bits'):
            decode(content.tobytes())
        return
    np.testing.assert_array_equal(rgb(content.tobytes())[..., 0], numbers[..., 0] >> 8)


@pytest.mark.parametrize('marked', [True, False])
def test_cmyk_jpeg(marked):
    """Adobe writes the inks inverted and marks the file; files without the mark follow it."""
    inks = {(255, 0, 0, 0): (0, 255, 255), (0, 255, 0, 0): (255, 0, 255), (0, 0, 0, 0): (255,) * 3}
    for ink, shown in inks.items():
        content = encoded(Image.new('CMYK', (16, 16), ink), 'JPEG', quality=100)
        start = content.index(b'Adobe') - 4
        assert content[start : start + 2] == b'\xff\xee'
        if not marked:
            content = content[:start] + content[start + 16 :]
        np.testing.assert_allclose(rgb(content)[8, 8], shown, atol=2)
    cyan = encoded(Image.new('CMYK', (4, 4), (255, 0, 0, 0)), 'TIFF')
    np.testing.assert_array_equal(rgb(cyan)[0, 0], [0, 255, 255])


def test_lab_tiff():
    """Reference: CIELAB of D50 through XYZ, adapted by Bradford, to sRGB."""
    shown = np.array([[255, 0, 0], [0, 128, 0], [90, 120, 200], [128, 128, 128], [255, 255, 255]])
    srgb, lab = ImageCms.createProfile('sRGB'), ImageCms.createProfile('LAB')
    image = Image.fromarray(shown.astype(np.uint8)[None])
    image = ImageCms.profileToProfile(image, srgb, lab, outputMode='LAB')
    numbers = np.asarray(image).astype(int)
    lightness = numbers[0, :, 0] * 100 / 255
    a, b = numbers[0, :, 1:].astype(np.int8).T.astype(float)
    f = (lightness + 16) / 116
    f = np.stack([f + a / 500, f, f - b / 200], 1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9642, 1, 0.8249]
    to_srgb = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = (xyz @ np.transpose(to_srgb)).clip(0, 1)
    gamma = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(gamma * 255, shown, atol=6)  # eight bits of L, a and b are coarse
    np.testing.assert_allclose(rgb(encoded(image, 'TIFF'))[0], gamma * 255, atol=6)


@pytest.mark.parametrize('file_format', ['GIF', 'TIFF', 'PNG', 'WEBP', 'MPO'])
def test_the_first_of_several_frames(file_format):
    frames = [Image.new('RGB', (16, 16), colour) for colour in ('red', 'lime', 'blue')]
    options = {'lossless': True} if file_format == 'WEBP' else {}
    content = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(content)).n_frames == 3
    np.testing.assert_allclose(rgb(content)[8, 8], [255, 0, 0], atol=2)


def test_colour_profiles_are_left_alone():
    image = Image.fromarray(pixels(0, 8, 8, 3))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('XYZ')).tobytes()
    content = encoded(image, 'PNG', icc_profile=profile)
    np.testing.assert_array_equal(rgb(content), np.asarray(image))


def test_unchanged_keeps_numbers_and_alpha():
    numbers = pixels(0, 4, 5, most=65536)
    found = decode(png(numbers, 16), 'unchanged').pixels
    np.testing.assert_array_equal(found, numbers)
    colours = pixels(1, 4, 5, 4)
    found = decode(encoded(Image.fromarray(colours), 'PNG'), 'unchanged').pixels
    np.testing.assert_array_equal(found, colours[..., [2, 1, 0, 3]])


# --- orientation


@cases
@given(
    seed=seeds,
    width=sides,
    height=sides,
    orientation=st.integers(1, 8),
    file_format=st.sampled_from(('JPEG', 'PNG', 'TIFF', 'WEBP')),
    backend=st.sampled_from(BACKENDS),
)
def test_images_are_turned_or_left(seed, width, height, orientation, file_format, backend):
    stored = Image.fromarray(pixels(seed, height, width, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {'lossless': True} if file_format == 'WEBP' else {'quality': 95}
    if file_format == 'JPEG':
        stored = Image.open(io.BytesIO(encoded(stored, 'JPEG', **options)))
        content = encoded(stored, 'JPEG', exif=exif, qtables=stored.quantization, subsampling=0)
        plain = encoded(stored, 'JPEG', qtables=stored.quantization, subsampling=0)
        stored = Image.open(io.BytesIO(plain))
    else:
        content = encoded(stored, file_format, exif=exif, **options)
    turned = stored.copy()
    turned.getexif()[0x0112] = orientation
    turned = ImageOps.exif_transpose(turned)
    for color_type, expected in (('color', turned), ('color_ignore_orientation', stored)):
        found = decode(content, color_type, backend)
        np.testing.assert_array_equal(found.pixels[..., ::-1], np.asarray(expected))
        assert found.orientation == orientation
        assert found.turned == (color_type == 'color')


def test_broken_exif_does_not_break_the_image():
    image = Image.fromarray(pixels(0, 8, 8, 3))
    for exif in (b'Exif\0\0garbage', b'Exif\0\0MM\0*\0\0\0\x08\xff\xff', b'Exif\0\0'):
        content = encoded(image, 'PNG', exif=exif)
        np.testing.assert_array_equal(rgb(content), np.asarray(image))
    for value in (0, 9, 77):
        exif = Image.Exif()
        exif[0x0112] = value
        np.testing.assert_array_equal(rgb(encoded(image, 'PNG', exif=exif)), np.asarray(image))


# --- files


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    'content',
    [
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n',
        b'%PDF-1.7\n',
        b'<!DOCTYPE html><html>',
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'PK\x03\x04' + bytes(40),
        b'\x7fELF' + bytes(40),
        b'8BPS' + bytes(40),
        b'\0' * 100,
        b'\xff',
    ],
)
def test_other_formats_are_refused(tmp_path, monkeypatch, backend, content):
    def start(*args, **kwargs):
        raise AssertionError(f'starts {args}')

    monkeypatch.setattr('subprocess.Popen', start)
    path = tmp_path / 'a.jpg'
    path.write_bytes(content)
    with pytest.raises(BrokenImageError, match=r'a\.jpg: begins with .* none of the formats JPEG'):
        LoadImage(imdecode_backend=backend)({'img_path': str(path)})


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'pipe.jpg')
    os.symlink('/dev/zero', tmp_path / 'zero.jpg')
    os.symlink(tmp_path / 'pipe.jpg', tmp_path / 'to_pipe.jpg')
    os.symlink(tmp_path / 'loop.jpg', tmp_path / 'loop.jpg')
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / 'socket.jpg'))
    names = {
        'pipe.jpg': 'is a named pipe, expected a regular file',
        'to_pipe.jpg': 'is a named pipe',
        'zero.jpg': 'is a device',
        'socket.jpg': 'is a socket',
        '.': 'is a directory',
        'loop.jpg': 'symbolic links',
        'x' * 300: 'too long',
        'a\0b.jpg': 'not a name of a file',
        'a\udc80b\ud800.jpg': 'not a name of a file',
    }
    with server:
        for name, reason in names.items():
            with pytest.raises(BrokenImageError, match=reason):
                LoadImage()({'img_path': f'{tmp_path}/{name}'})
    with pytest.raises(MissingImageError, match='none.jpg: No such file'):
        read_image_file(str(tmp_path / 'none.jpg'))


def test_a_pipe_that_takes_the_place_of_a_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.jpg'
    os.mkfifo(path)
    regular = os.stat(__file__)
    monkeypatch.setattr(os, 'stat', lambda *args, **kwargs: regular)
    with pytest.raises(BrokenImageError, match='is a named pipe'):
        read_image_file(str(path))


def test_links_to_files_are_files(tmp_path):
    image = Image.fromarray(pixels(0, 8, 8, 3))
    image.save(tmp_path / 'a.png')
    os.symlink('a.png', tmp_path / 'b.png')
    found = read_rgb(str(tmp_path / 'b.png'))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(image))


@register_backend('memory-of-test', prefixes='memtest')
class Memory(BaseStorageBackend):
    files: dict[str, bytes] = {}

    def get(self, filepath):
        try:
            return self.files[str(filepath)]
        except KeyError as error:
            raise FileNotFoundError(2, 'No such object') from error

    def get_text(self, filepath, encoding='utf-8'):
        raise NotImplementedError


def test_other_file_backends_are_not_looked_up_on_disk(monkeypatch):
    content = encoded(Image.fromarray(pixels(0, 8, 8, 3)), 'PNG')
    monkeypatch.setattr(Memory, 'files', {'memtest://a.png': content, 'plain': content})

    def no_stat(*args, **kwargs):
        raise AssertionError('looked up on disk')

    with monkeypatch.context() as patch:
        patch.setattr('os.stat', no_stat)
        assert read_image_file('memtest://a.png') == content
        assert read_image_file('plain', {'backend': 'memory-of-test'}) == content
        with pytest.raises(MissingImageError, match='memtest://b.png: No such object'):
            read_image_file('memtest://b.png')
        with pytest.raises(BrokenImageError, match='more than max_bytes=10'):
            read_image_file('memtest://a.png', max_bytes=10)


# --- limits


def test_limit_of_pixels_says_how_to_raise_it(tmp_path):
    path = tmp_path / 'scan.png'
    path.write_bytes(png_header(30_000, 30_000))
    match = r'scan.png: 30000 x 30000 = 900,000,000 pixels, more than max_pixels=500,000,000; .*'
    with pytest.raises(BrokenImageError, match=match + 'max_pixels=900000000'):
        LoadImage()({'img_path': str(path)})
    with pytest.raises(BrokenImageError, match='truncated'):
        LoadImage(max_pixels=900_000_000)({'img_path': str(path)})
    path.write_bytes(encoded(Image.new('RGB', (20, 30)), 'PNG'))
    for backend in BACKENDS:
        with pytest.raises(BrokenImageError, match='20 x 30 = 600 pixels, more than'):
            LoadImage(max_pixels=599, imdecode_backend=backend)({'img_path': str(path)})
        assert LoadImage(max_pixels=600)({'img_path': str(path)})['img_shape'] == (30, 20)


def test_scans_beyond_the_limit_of_pillow(tmp_path, monkeypatch):
    """Pillow warns from one limit on and refuses at its double; the process's own limit stays."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    path = tmp_path / 'scan.png'
    Image.new('RGB', (40, 30), 'red').save(path)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    assert LoadImage()({'img_path': str(path)})['img'].shape == (30, 40, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_limit_of_bytes(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray(pixels(0, 8, 8, 3)).save(path)
    length = path.stat().st_size
    with pytest.raises(BrokenImageError, match=f'max_bytes=9; .*max_bytes={length}'):
        LoadImage(max_bytes=9)({'img_path': str(path)})
    LoadImage(max_bytes=length)({'img_path': str(path)})
    with open(tmp_path / 'sparse.jpg', 'wb') as file:
        file.truncate(1 << 40)
    with pytest.raises(BrokenImageError, match='1,099,511,627,776 bytes, more than'):
        LoadImage()({'img_path': str(tmp_path / 'sparse.jpg')})


def test_long_files_of_other_formats_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / 'film.jpg'
    with open(path, 'wb') as file:
        file.write(b'\x1aE\xdf\xa3')
        file.truncate(1 << 30)

    def refuse(prefix):  # is asked before the rest is read
        raise BrokenImageError(f'{len(prefix)} bytes read')

    monkeypatch.setattr('mmmlc.datasets.image_files.identify', refuse)
    with pytest.raises(BrokenImageError, match='film.jpg: 16 bytes read'):
        read_image_file(str(path))


def test_limits_are_positive_integers():
    for name in ('max_pixels', 'max_bytes'):
        for value in (0, -1, 1.5, '1'):
            with pytest.raises(ValueError, match=f'LoadImage: {name}={value!r}, expected a pos'):
                LoadImage(**{name: value})


# --- damage


def sample_of(file_format: str) -> bytes:
    image = Image.fromarray(pixels(3, 24, 36, 3)).resize((120, 90))
    return encoded(image, file_format)


FORMATS = ('JPEG', 'PNG', 'TIFF', 'GIF', 'BMP', 'PPM', 'WEBP', 'JPEG2000')


@settings(max_examples=300, deadline=None)
@given(
    file_format=st.sampled_from(FORMATS), share=st.floats(0, 1), backend=st.sampled_from(BACKENDS)
)
def test_cut_files_are_broken_or_whole(file_format, share, backend):
    content = sample_of(file_format)
    try:
        found = decode(content[: int(share * len(content))], backend=backend).pixels
    except BrokenImageError:
        return
    np.testing.assert_array_equal(found, decode(content, backend=backend).pixels)


@settings(max_examples=500, deadline=None)
@given(
    file_format=st.sampled_from(FORMATS),
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    backend=st.sampled_from(BACKENDS),
    color_type=st.sampled_from(COLOR_TYPES),
)
def test_changed_bytes_give_an_image_or_our_error(file_format, damage, backend, color_type):
    content = bytearray(sample_of(file_format))
    for place, value in damage:
        content[int(place**2 * (len(content) - 1))] = value  # more often in the header
    try:
        found = decode(bytes(content), color_type, backend, max_pixels=1_000_000)
    except BrokenImageError:
        return
    assert found.pixels.size and found.pixels.ndim in (2, 3)
