from __future__ import annotations

import io
import multiprocessing
from types import SimpleNamespace

import cv2
import mmcv
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.registry import TRANSFORMS, DefaultScope
from mmpretrain.models.utils import ClsDataPreprocessor
from PIL import Image, ImageOps

from mmmlc.datasets import transforms
from mmmlc.datasets.transforms import BrokenImageError, LoadImage, PackInputs, RandomFlip, loader_of

BOX = np.array([[0.125, 0.25, 0.5, 1.0]], dtype=np.float32)


def _jpeg(size: tuple[int, int] = (64, 48), mode: str = 'RGB', **options) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(buffer, 'JPEG', **options)
    return buffer.getvalue()


@pytest.fixture
def warnings_seen(monkeypatch) -> list[str]:
    seen = []
    monkeypatch.setattr(transforms, 'warn', seen.append)
    return seen


# --- RandomFlip


@pytest.mark.parametrize(
    ('direction', 'expected'),
    [
        ('horizontal', [0.5, 0.25, 0.875, 1.0]),
        ('vertical', [0.125, 0.0, 0.5, 0.75]),
        ('diagonal', [0.5, 0.0, 0.875, 0.75]),
    ],
)
def test_flip_mirrors_boxes(direction, expected):
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    flip = RandomFlip(prob=1.0, direction=direction)
    once = flip({'img': image, 'boxes': BOX.copy()})
    np.testing.assert_array_equal(once['boxes'], [expected])
    assert once['boxes'].dtype == np.float32
    twice = flip(dict(once))
    np.testing.assert_array_equal(twice['boxes'], BOX)
    np.testing.assert_array_equal(twice['img'], image)


def test_flip_without_boxes_and_with_none():
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    assert 'boxes' not in RandomFlip(prob=1.0)({'img': image})
    empty = RandomFlip(prob=1.0)({'img': image, 'boxes': np.zeros((0, 4), np.float32)})
    assert empty['boxes'].shape == (0, 4)
    kept = RandomFlip(prob=0.0)({'img': image, 'boxes': BOX})
    np.testing.assert_array_equal(kept['boxes'], BOX)


# --- LoadImage


def test_load_equals_pillow(tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_bytes(_jpeg())
    results = LoadImage()({'img_path': str(path)})
    np.testing.assert_array_equal(results['img'][..., ::-1], np.array(Image.open(path)))
    assert results['img_shape'] == results['ori_shape'] == (48, 64)
    assert LoadImage(to_float32=True)({'img_path': str(path)})['img'].dtype == np.float32


def test_grey_image_has_three_channels(tmp_path):
    path = tmp_path / 'grey.jpg'
    path.write_bytes(_jpeg(mode='L'))
    img = LoadImage()({'img_path': str(path)})['img']
    assert img.shape == (48, 64, 3)
    assert (img[..., 0] == img[..., 2]).all()


def _png_with_broken_chunk() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(buffer, 'PNG')
    return buffer.getvalue().replace(b'IDAT', b'IDAX')


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (None, 'No such file'),
        (b'', 'empty file'),
        (b'version https://git-lfs.github.com/spec/v1', ''),
        (_png_with_broken_chunk(), ''),
        (_jpeg()[:12], ''),
    ],
)
def test_broken_image(tmp_path, backend, content, reason):
    path = tmp_path / 'broken.jpg'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BrokenImageError, match=f'broken.jpg: .*{reason}'):
        LoadImage(imdecode_backend=backend)({'img_path': str(path)})


@pytest.mark.parametrize('keep', [0.3, 0.9])
def test_truncated_jpeg_is_broken(tmp_path, keep):
    path = tmp_path / 'cut.jpg'
    content = _jpeg((256, 256))
    path.write_bytes(content[: int(len(content) * keep)])
    for backend in ('pillow', 'cv2'):
        with pytest.raises(BrokenImageError, match='cut.jpg: OSError: .*truncated'):
            LoadImage(imdecode_backend=backend)({'img_path': str(path)})
    # OpenCV by itself does not refuse it:
    assert cv2.imread(str(path)) is not None


def test_folder_in_place_of_image(tmp_path):
    with pytest.raises(BrokenImageError, match='directory'):
        LoadImage()({'img_path': str(tmp_path)})


def test_mistakes_of_the_programme_are_not_broken_images(tmp_path, monkeypatch):
    with pytest.raises(KeyError, match='img_path'):
        LoadImage()({})
    path = tmp_path / 'a.jpg'
    path.write_bytes(_jpeg())

    def no_memory(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr('mmmlc.datasets.decoding.open_image', no_memory)
    with pytest.raises(MemoryError):
        LoadImage()({'img_path': str(path)})


def test_bad_options():
    with pytest.raises(ValueError, match="imdecode_backend is 'turbojpeg'"):
        LoadImage(imdecode_backend='turbojpeg')
    with pytest.raises(ValueError, match="color_type is 'colour'"):
        LoadImage(color_type='colour')


def test_warns_if_boxes_cannot_fit(tmp_path, warnings_seen):
    path = tmp_path / 'other.jpg'
    path.write_bytes(_jpeg((64, 48)))
    annotated = {'img_path': str(path), 'ann_shape': (64, 48), 'boxes': BOX}
    assert LoadImage()(dict(annotated))['img_shape'] == (48, 64)
    assert 'other.jpg is 64 x 48 but 48 x 64 in the annotation file' in warnings_seen.pop()
    for fitting in ((48, 64), (481, 640)):  # a reduced copy, rounded
        LoadImage()({**annotated, 'ann_shape': fitting})
    assert not warnings_seen


# --- boxes of images that EXIF turns


def _turned_file(path, orientation: int, size: tuple[int, int], box: np.ndarray) -> Image.Image:
    """Write a black image with a white box, fractions of the stored image; as it is shown."""
    stored = Image.new('RGB', size)
    stored.paste('white', tuple(np.round(box * (size * 2)).astype(int).tolist()))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, exif=exif)
    return ImageOps.exif_transpose(Image.open(path))


def _box_of(image: np.ndarray) -> np.ndarray:
    """Where an image is white, as fractions."""
    rows, columns = np.nonzero(image[..., 0] > 128)
    height, width = image.shape[:2]
    ends = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return np.array(ends) / [width, height, width, height]


_places = st.tuples(st.integers(0, 15), st.integers(0, 15)).filter(lambda p: p[0] != p[1])


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    orientation=st.integers(1, 8),
    columns=_places,
    rows=_places,
    scale=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    color_type=st.sampled_from(['color', 'color_ignore_orientation']),
    boxes_on=st.sampled_from(['auto', 'stored', 'shown']),
    annotated_on=st.sampled_from(['stored', 'shown']),
)
def test_boxes_turn_with_the_image(
    tmp_path_factory, orientation, columns, rows, scale, color_type, boxes_on, annotated_on
):
    path = tmp_path_factory.getbasetemp() / 'turned.png'
    size = (15 * scale[0], 15 * scale[1])
    box = np.array([min(columns), min(rows), max(columns), max(rows)]) / 15
    shown = _turned_file(path, orientation, size, box)
    on_shown = annotated_on == 'shown'
    drawn = _box_of(np.asarray(shown)) if on_shown else box
    width, height = shown.size if on_shown else size
    sample = {'img_path': str(path), 'ann_shape': (height, width)}
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transforms, 'warn', seen.append)
        loader = LoadImage(color_type=color_type, boxes_on=boxes_on)
        found = [loader({**sample, 'boxes': drawn[None].astype(np.float32)}) for _ in range(2)]
    turns = color_type == 'color'
    exchanged = orientation >= 5 and width != height
    if turns and orientation > 1:
        told = boxes_on != 'auto' or exchanged
        right = (boxes_on == annotated_on) if boxes_on != 'auto' else (exchanged or on_shown)
    else:
        told, right = True, (not on_shown or orientation == 1)
    actual = _box_of(found[0]['img'])
    if right:
        np.testing.assert_allclose(found[0]['boxes'][0], actual, atol=1e-6)
        assert found[0]['ann_shape'] == found[0]['img_shape']
    elif boxes_on == 'auto' or not turns:
        np.testing.assert_array_equal(found[0]['boxes'][0], drawn.astype(np.float32))
    once = [text for text in seen if 'does not tell whether' in text]
    assert len(once) == (0 if told else 1)  # of two images
    misplaced = [text for text in seen if 'misplaced' in text]
    assert bool(misplaced) == (exchanged and not right)


def test_warning_of_turned_boxes_comes_once_from_all_workers(tmp_path):
    """The flag lies in shared memory: a forked process sees and sets it."""
    _turned_file(tmp_path / 'a.png', 3, (30, 30), np.array([0, 0, 0.5, 0.5]))
    loader = LoadImage()
    sample = {'img_path': str(tmp_path / 'a.png'), 'boxes': BOX, 'ann_shape': (30, 30)}
    worker = multiprocessing.get_context('fork').Process(target=loader, args=(sample,))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 0
    assert loader._warned.item()


def test_pictures_are_turned_as_the_loader_does(tmp_path):
    path = tmp_path / 'a.png'
    shown = _turned_file(path, 6, (40, 20), np.array([0, 0, 0.5, 0.5]))
    stored = Image.open(path)
    for options, expected in (
        ({}, shown),
        ({'color_type': 'grayscale'}, shown),
        ({'color_type': 'color_ignore_orientation', 'imdecode_backend': 'cv2'}, stored),
        ({'color_type': 'unchanged'}, stored),
    ):
        picture = LoadImage(**options).picture(str(path))
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(expected))


def test_loader_of_a_data_set():
    load = LoadImage(color_type='color_ignore_orientation')
    inner = SimpleNamespace(pipeline=SimpleNamespace(transforms=[PackInputs(), load]))
    assert loader_of(SimpleNamespace(dataset=SimpleNamespace(dataset=inner))) is load
    plain = mmcv.transforms.LoadImageFromFile(color_type='grayscale')
    inner.pipeline.transforms = [plain]
    assert loader_of(inner).color_type == 'grayscale'
    assert loader_of(SimpleNamespace()).color_type == 'color'


def test_warning_is_seen_on_every_rank(monkeypatch):
    levels = []
    monkeypatch.setattr(transforms, 'print_log', lambda *_, level, **__: levels.append(level))
    for main in (True, False):
        monkeypatch.setattr('mmengine.dist.is_main_process', lambda main=main: main)
        transforms.warn('x')
    assert levels == [30, 40]  # mmengine's other ranks print errors only


# --- PackInputs


def _sample(**fields) -> dict:
    return {'img': np.zeros((4, 6, 3), np.uint8), 'gt_label': [1, 3], 'img_id': 7, **fields}


def test_pack_converts_and_leaves_out():
    fields = {
        'boxes': BOX,
        'box_labels': np.array([3]),
        'box_crowd': np.array([True]),
        'box_areas': np.array([5], dtype=np.float32),
        'gt_label_difficult': [3],
        'flip': True,
        'entry': 4,
    }
    packed = PackInputs()(_sample(**fields))
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 4, 6)
    assert torch.equal(sample.boxes, torch.from_numpy(BOX))
    assert (sample.box_labels.dtype, sample.box_crowd.dtype) == (torch.int64, torch.bool)
    assert sample.box_areas.dtype == torch.float32
    assert sample.gt_label_difficult.tolist() == [3]
    assert sample.img_id == 7
    assert sample.metainfo['flip'] is True
    for missing in ('gt_label_ignore', 'box_difficult', 'entry'):
        assert missing not in sample


def test_empty_labels_stay_integers_through_the_preprocessor():
    packed = [PackInputs()(_sample(gt_label=[], gt_label_ignore=[])), PackInputs()(_sample())]
    for name in ('gt_label', 'gt_label_ignore'):
        tensor = packed[0]['data_samples'].get(name)
        assert tensor.dtype == torch.int64 and tensor.shape == (0,)
    batch = {key: [sample[key] for sample in packed] for key in ('inputs', 'data_samples')}
    out = ClsDataPreprocessor(to_onehot=True, num_classes=4)(batch)
    assert [s.gt_score.tolist() for s in out['data_samples']] == [[0] * 4, [0, 1, 0, 1]]
    assert [s.gt_label.tolist() for s in out['data_samples']] == [[], [1, 3]]
    out['data_samples'] = [PackInputs()(_sample(gt_label=[]))['data_samples'] for _ in range(2)]
    out = ClsDataPreprocessor(to_onehot=True, num_classes=4)(out)
    assert [s.gt_score.tolist() for s in out['data_samples']] == [[0] * 4] * 2


@pytest.mark.parametrize('scope', [None, 'mmpretrain'])
def test_registered_names(scope):
    with DefaultScope.overwrite_default_scope(scope):
        assert type(TRANSFORMS.build({'type': 'mmmlc.LoadImage'})) is LoadImage
        assert type(TRANSFORMS.build({'type': 'mmmlc.RandomFlip', 'prob': 0.5})) is RandomFlip
        assert type(TRANSFORMS.build({'type': 'mmmlc.PackInputs'})) is PackInputs
