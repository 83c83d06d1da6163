"""EdgeBoxes on drawn images, the proposals file and its damages, and the converters."""

from __future__ import annotations

import importlib
import json
import pickle
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from torchvision.ops import box_iou

from mmmlc.proposals import edge_boxes
from mmmlc.proposals.convert import convert, from_coco_json, from_mmdet, read_pickle
from mmmlc.proposals.edge_boxes import EdgeBoxes
from mmmlc.proposals.store import (
    ImageProposals,
    ProposalStore,
    encode,
    folder_name,
    image_name,
    write_store,
)


def draw(box: tuple[int, int, int, int], size: tuple[int, int] = (160, 120)) -> np.ndarray:
    """A bright rectangle x1, y1, x2, y2 (exclusive) on a dark image of (width, height)."""
    image = np.full((size[1], size[0], 3), 30, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = (200, 180, 160)
    return image


# --- EdgeBoxes


@pytest.mark.parametrize('box', [(40, 30, 110, 90), (0, 0, 70, 60), (90, 60, 160, 120)])
def test_finds_a_rectangle(box):
    boxes, scores = EdgeBoxes()(draw(box))
    assert boxes.dtype == scores.dtype == np.float32
    assert boxes.shape == (len(scores), 4) and len(boxes) > 0
    assert (np.diff(scores) <= 0).all()
    assert (boxes >= 0).all() and (boxes <= [160, 120, 160, 120]).all()
    truth = torch.tensor([box], dtype=torch.float32)
    assert box_iou(truth, torch.from_numpy(boxes)).max() > 0.75


def test_offset_and_clipping(monkeypatch):
    """What OpenCV counts from 1 starts at 0, and ends at most at the image's sides."""
    raw = np.array([[1, 1, 160, 120], [11, 21, 30, 40], [101, 81, 60, 45]])
    expected = [[0, 0, 160, 120], [10, 20, 40, 60], [100, 80, 160, 120]]
    np.testing.assert_array_equal(edge_boxes._corners(raw, 160, 120), expected)


def test_opencv_counts_from_one():
    """The windows that OpenCV tries lie as often near one side as near the opposite one."""
    image = draw((50, 30, 110, 90))
    edges, orientation = edge_boxes.gradient_edges(image)
    raw, scores = cv2.ximgproc.createEdgeBoxes(maxBoxes=50).getBoundingBoxes(edges, orientation)
    assert scores.shape == (len(raw), 1)
    assert raw[:, :2].min() >= 1


def test_boxes_do_not_depend_on_images_before():
    """OpenCV's own object fails here: its second call on an image gives other scores."""
    finder, other = EdgeBoxes(), draw((90, 60, 160, 120))
    expected = EdgeBoxes()(draw((40, 30, 110, 90)))
    for _ in range(2):
        finder(other)
        found = finder(draw((40, 30, 110, 90)))
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_nothing_found():
    for image in (np.zeros((100, 100, 3), np.uint8), np.zeros((1, 5000, 3), np.uint8)):
        boxes, scores = EdgeBoxes()(image)
        assert boxes.shape == (0, 4) and scores.shape == (0,)
    boxes, scores = EdgeBoxes()(np.full((9, 9, 3), 7, np.uint8))
    assert boxes.shape == (0, 4) and scores.shape == (0,)


def test_options_reach_opencv():
    image = draw((40, 30, 110, 90)) + np.random.default_rng(0).integers(
        0, 40, (120, 160, 3), dtype=np.uint8
    )
    boxes, _ = EdgeBoxes(max_boxes=20)(image)
    assert len(boxes) == 20
    with_small, without = (EdgeBoxes(min_area=area)(image)[0] for area in (100.0, 4000.0))
    least = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).min() for boxes in (with_small, without)]
    # The windows have at least this area; moving their sides to fit takes some of it.
    assert least[0] < 1500 < least[1]


def test_gradient_edges_are_thin_and_point_across():
    edges, orientation = edge_boxes.gradient_edges(draw((40, 30, 110, 90)))
    assert edges.dtype == orientation.dtype == np.float32
    assert edges.min() == 0 and edges.max() <= 1
    assert ((edges > 0).sum(1)[40:80] == 2).all()  # one pixel for each side of the rectangle
    left = edges[60, :75].argmax()
    assert 38 <= left <= 41
    np.testing.assert_allclose(np.cos(orientation[60, left]) ** 2, 1, atol=1e-3)
    top = edges[:60, 75].argmax()
    np.testing.assert_allclose(orientation[top, 75], np.pi / 2, atol=1e-3)


class _Detector:
    """Stands for the structured-edge detector, whose model is not in any package."""

    def detectEdges(self, rgb):
        assert rgb.dtype == np.float32 and rgb.max() <= 1
        self.rgb = rgb
        return edge_boxes.gradient_edges((rgb[..., ::-1] * 255).astype(np.uint8))[0]

    def computeOrientation(self, edges):
        return np.zeros_like(edges)

    def edgesNms(self, edges, orientation):
        return edges


def test_structured_edges_get_rgb(monkeypatch, tmp_path):
    model = tmp_path / 'model.yml.gz'
    model.write_bytes(b'weights')
    detector = _Detector()
    monkeypatch.setattr(cv2.ximgproc, 'createStructuredEdgeDetection', lambda path: detector)
    finder = EdgeBoxes(model)
    boxes, _ = finder(draw((40, 30, 110, 90)))
    np.testing.assert_allclose(detector.rgb[60, 75] * 255, [160, 180, 200], atol=1e-3)
    assert len(boxes)
    assert 'model.yml.gz, CRC-32' in finder.parameters['edges']
    json.dumps(finder.parameters)


def test_wrong_options(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.yml.gz: no such structured-edge model'):
        EdgeBoxes(tmp_path / 'none.yml.gz')
    broken = tmp_path / 'broken.yml.gz'
    broken.write_bytes(b'no model')
    with pytest.raises(ValueError, match='broken.yml.gz is not a structured-edge model'):
        EdgeBoxes(broken)
    with pytest.raises(ValueError, match='alpha=1.5'):
        EdgeBoxes(alpha=1.5)
    with pytest.raises(ValueError, match='max_boxes=0'):
        EdgeBoxes(max_boxes=0)
    with pytest.raises(ValueError, match=r'uint8, got \(4, 4\)'):
        EdgeBoxes()(np.zeros((4, 4), np.uint8))


# --- the file


def _boxes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.random((count, 2, 2)), axis=1)
    return corners.reshape(count, 4), rng.random(count).astype(np.float32)


@pytest.fixture
def written(tmp_path):
    """A store of three images, one without boxes and one that was broken."""
    content = {'a/1.jpg': _boxes(5), '2.jpg': _boxes(0), 'ü 3.jpg': _boxes(2000, 1)}
    path = tmp_path / 'set.prop'
    images = [ImageProposals(n, 640, 480, len(b[1])) for n, b in content.items()]
    blocks = [encode(*b) for b in content.values()]
    write_store(path, 'train', images, blocks, {'alpha': 0.65}, {'4.jpg': 'empty file'})
    return path, content


def test_store_gives_back_what_was_written(written):
    path, content = written
    store = ProposalStore(path)
    assert store.names == list(content) and len(store) == 3
    assert (store.folder, store.parameters) == ('train', {'alpha': 0.65})
    for name, (boxes, scores) in content.items():
        order = np.argsort(-scores, kind='stable')
        found = store[name]
        assert found[0].shape == (len(scores), 4)
        np.testing.assert_allclose(found[0], boxes[order], atol=0.51 / 65535)
        np.testing.assert_array_equal(found[1], scores[order])
        top = store.load(name, 3)
        np.testing.assert_array_equal(top[0], found[0][:3])
        assert store.image(name) == (name, 640, 480, len(scores))
    assert 'a/1.jpg' in store and '4.jpg' not in store
    store.verify()
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy['a/1.jpg'][0], store['a/1.jpg'][0])
    assert len(pickle.dumps(store)) < 500


def test_pixel_boxes_come_back_exactly(tmp_path):
    sides = np.array([5000, 3333] * 2)
    boxes = np.sort(np.random.default_rng(0).integers(0, 3333, (500, 2, 2)), axis=1)
    block = encode(boxes.reshape(-1, 4) / sides, np.arange(500)[::-1])
    write_store(tmp_path / 's', 'x', [ImageProposals('i', 5000, 3333, 500)], [block], {})
    found = ProposalStore(tmp_path / 's')['i'][0]
    np.testing.assert_array_equal(np.rint(found * sides), boxes.reshape(-1, 4))


def test_twelve_bytes_a_box(written):
    path, _ = written
    header = int.from_bytes(path.read_bytes()[16:24], 'little')
    assert path.stat().st_size == 24 + header + 2005 * 12 + (3 + 1) * 4


def test_reading_an_image_is_fast(written):
    path, _ = written
    store = ProposalStore(path)
    start = time.process_time()
    for _ in range(200):
        store.load(store.find('data/train/ü 3.jpg'))
    assert (time.process_time() - start) / 200 < 1e-3  # 0.2 ms on an idle machine, see benchmarks


def test_unknown_image(written):
    store = ProposalStore(written[0])
    with pytest.raises(KeyError, match="set.prop has no image '9.jpg'"):
        store['9.jpg']
    with pytest.raises(KeyError, match='it was broken: empty file'):
        store['4.jpg']


def test_find(written):
    store = ProposalStore(written[0])
    assert store.find('/data/coco/train/a/1.jpg') == 'a/1.jpg'
    assert store.find('s3://bucket/train/2.jpg') == '2.jpg'
    assert store.find('data/images/2.jpg', 'data/images') == '2.jpg'
    assert store.find('./data//train/../train/2.jpg') == '2.jpg'
    with pytest.raises(ValueError, match="set.prop .*val/2.jpg: .*folder 'train'.*img_prefix"):
        store.find('data/val/2.jpg')
    with pytest.raises(ValueError, match="set.prop .*train/1.jpg: no image '1.jpg' among its 3"):
        store.find('data/train/1.jpg')
    with pytest.raises(ValueError, match='train/4.jpg: it was broken: empty file'):
        store.find('data/train/4.jpg')
    with pytest.raises(ValueError, match='elsewhere/2.jpg is not in the image folder data/images'):
        store.find('elsewhere/2.jpg', 'data/images')


def test_find_refuses_to_guess(tmp_path):
    images = [ImageProposals(name, 8, 8, 0) for name in ('1.jpg', 'train/1.jpg')]
    write_store(tmp_path / 's', 'train', images, [b'', b''], {})
    store = ProposalStore(tmp_path / 's')
    with pytest.raises(ValueError, match=r"several images .*'train/1.jpg', '1.jpg'.*img_prefix"):
        store.find('data/train/train/1.jpg')
    assert store.find('data/train/train/1.jpg', 'data/train') == 'train/1.jpg'


def test_names():
    assert image_name('/d/train/a/b.jpg', '/d/train/') == 'a/b.jpg'
    assert image_name('b.jpg', '') == 'b.jpg'
    assert folder_name('data/VOC2007/JPEGImages/') == 'JPEGImages'


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (lambda b: b'', 'is not a proposals file'),
        (lambda b: b'PK\x03\x04' + b[4:], r"is not a proposals file of mmmlc: it begins with b'PK"),
        (lambda b: b[:12], 'is cut short: 12 bytes'),
        (lambda b: b[:60], 'is cut short: 60 bytes end within the header'),
        (lambda b: b[:-1], 'is cut short: .* bytes, expected'),
        (lambda b: b + b'x', 'has something after its end'),
        (lambda b: b[:8] + b'\x03' + b[9:], r'has format 3, this mmmlc reads \(1, 2\)'),
        (lambda b: b[:40] + b'#' + b[41:], 'the header is damaged'),
        (lambda b: b[:12] + bytes(12) + b[24:], 'the header is damaged, it is no JSON'),
    ],
)
def test_damaged_files_are_refused(written, change, reason):
    path, _ = written
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=f'set.prop:? {reason}'):
        ProposalStore(path)


def _read_all(path) -> None:
    store = ProposalStore(path)
    for name in store.names:
        store.load(name, 1)


def test_every_changed_byte_is_noticed(tmp_path):
    """Of each kind there is: magic, version, lengths, checksums, header, boxes and scores."""
    path = tmp_path / 'set.prop'
    content = {name: _boxes(count, count) for name, count in (('a.jpg', 2), ('b', 0), ('c.jpg', 3))}
    images = [ImageProposals(name, 64, 48, len(b[1])) for name, b in content.items()]
    write_store(path, 'train', images, [encode(*b) for b in content.values()], {})
    good = path.read_bytes()
    first = len(good) - 16 - 60  # 4 checksums, and 5 boxes of 12 bytes
    _read_all(path)
    for position in range(len(good)):
        changed = bytearray(good)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match='set.prop') as caught:
            _read_all(path)
        if first <= position < first + 60:
            assert ('a.jpg' if position < first + 24 else 'c.jpg') in str(caught.value)
            with pytest.raises(ValueError, match='jpg.*damaged'):
                ProposalStore(path).verify()
            with pytest.raises(ValueError, match='jpg.*damaged'):
                _ = [ProposalStore(path).block(name) for name in content]


def test_other_images_of_a_damaged_file_are_read(written):
    path, content = written
    changed = bytearray(path.read_bytes())
    changed[-1000] ^= 1  # of the last image
    path.write_bytes(changed)
    store = ProposalStore(path)
    assert len(store['a/1.jpg'][1]) == 5
    for read in (store.load, pickle.loads(pickle.dumps(store)).load, store.block):
        with pytest.raises(
            ValueError, match="set.prop: the boxes or scores of the image 'ü 3.jpg'"
        ):
            read('ü 3.jpg')


def _write_format_1(path, content) -> None:
    """As version 0.2 wrote it: no checksum of an image, one of all boxes and scores."""
    blocks = [encode(*b) for b in content.values()]
    header = dict(folder='train', parameters={}, broken={}, names=[*content])
    header |= dict(sizes=[[640, 480]] * len(content), counts=[len(b[1]) for b in content.values()])
    text, data = json.dumps(header).encode(), b''.join(blocks)
    prefix = struct.pack('<8sIIQ', b'mmmlcprp', 1, zlib.crc32(text), len(text))
    path.write_bytes(prefix + text + data + struct.pack('<I', zlib.crc32(data)))


def test_format_1_is_still_read(tmp_path):
    path, content = tmp_path / 'old.prop', {'1.jpg': _boxes(5), '2.jpg': _boxes(4, 1)}
    _write_format_1(path, content)
    store = ProposalStore(path)
    for opened in (store, pickle.loads(pickle.dumps(store))):
        np.testing.assert_allclose(sorted(opened['2.jpg'][1]), sorted(content['2.jpg'][1]))
    store.verify()
    good = path.read_bytes()
    for position in range(len(good)):
        changed = bytearray(good)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match='old.prop'):
            ProposalStore(path)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(names=None), 'the header has no names, expected a list'),
        (dict(counts=[1]), '3 names, 3 sizes and 1 numbers of boxes'),
        (dict(sizes=[[8, 8], [8, 0], [8, 8]]), r"image 'b' has width, height \[8, 0\]"),
        (dict(sizes=[[8, 8], [8, 8], [8, 1e3]]), "image 'c' has width, height"),
        (dict(counts=[0, -1, 1]), "image 'b' has -1 boxes"),
        (dict(names=['a', 'b', 'a']), "image 'a' occurs twice"),
    ],
)
def test_headers_are_checked(tmp_path, change, message):
    """Also those whose checksum is right: somebody else's program may write them."""
    path = tmp_path / 's'
    header = dict(folder='x', parameters={}, broken={}, names=['a', 'b', 'c'])
    header |= dict(sizes=[[8, 8]] * 3, counts=[0] * 3) | change
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack('<8sIIQ', b'mmmlcprp', 2, zlib.crc32(text), len(text)) + text)
    with pytest.raises(ValueError, match=message):
        ProposalStore(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.prop: no such proposals file'):
        ProposalStore(tmp_path / 'none.prop')


@pytest.mark.parametrize(
    ('boxes', 'scores', 'message'),
    [
        ([[0, 0, 1.2, 1]], [1], 'x1 <= x2'),
        ([[0.5, 0, 0.4, 1]], [1], 'x1 <= x2'),
        ([[0, 0, np.nan, 1]], [1], 'x1 <= x2'),
        ([[0, 0, 1, 1]], [np.inf], 'score inf'),
        ([[0, 0, 1, 1]], [np.nan], 'score nan'),
        ([[0, 0, 1, 1]], [1e39], r'score 1e\+39, expected a finite number'),  # not in float32
        ([[0, 0, 1, 1]], [1, 2], r'expected \(n, 4\) and \(n,\)'),
    ],
)
def test_wrong_boxes(boxes, scores, message):
    with pytest.raises(ValueError, match=message):
        encode(np.array(boxes), np.array(scores))


def test_wrong_images(tmp_path):
    image = ImageProposals('a', 8, 8, 1)
    with pytest.raises(ValueError, match="image 'a' occurs twice"):
        write_store(tmp_path / 's', 'x', [image, image], [b'', b''], {})
    for side in (0, -3, np.nan, 8.0, True):
        with pytest.raises(ValueError, match=f"image 'a' has width, height .*{side}"):
            write_store(tmp_path / 's', 'x', [image._replace(height=side)], [b'0' * 12], {})
    with pytest.raises(ValueError, match='has 0 bytes'):
        write_store(tmp_path / 's', 'x', [image], [b''], {})
    assert list(tmp_path.iterdir()) == []  # not even a part of the file


# --- converters


@pytest.fixture
def ann_file(tmp_path):
    sizes = [(7, 'a.jpg', 100, 50), (9, 'sub/b.jpg', 200, 80), (4, 'c.jpg', 10, 10)]
    images = [dict(id=i, file_name=n, width=w, height=h) for i, n, w, h in sizes]
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(dict(images=images, annotations=[], categories=[])))
    return path


def _converted(detections, tmp_path, **options) -> ProposalStore:
    convert(detections, tmp_path / 'out.prop', tmp_path / 'images', 'source', **options)
    return ProposalStore(tmp_path / 'out.prop')


def test_coco_json(tmp_path, ann_file):
    detections = [
        dict(image_id=9, bbox=[100, 40, 50, 20], score=0.2, category_id=3),
        dict(image_id=9, bbox=[-10, 0, 30, 200]),  # clipped; without score: 1
        dict(image_id=9, bbox=[300, 0, 5, 5], score=0.5),  # outside
        dict(image_id=7, bbox=[0, 0, 100, 50], score=0.25),
    ]
    path = tmp_path / 'd.json'
    path.write_text(json.dumps(detections))
    store = _converted(from_coco_json(path, ann_file), tmp_path)
    assert store.names == ['a.jpg', 'sub/b.jpg', 'c.jpg'] and store.folder == 'images'
    boxes, scores = store['sub/b.jpg']
    np.testing.assert_allclose(boxes, [[0, 0, 0.1, 1], [0.5, 0.5, 0.75, 0.75]], atol=1e-5)
    np.testing.assert_allclose(scores, [1, 0.2])
    assert store['a.jpg'][1].tolist() == [0.25] and len(store['c.jpg'][1]) == 0
    store = _converted(from_coco_json(path, ann_file), tmp_path, max_boxes=1)
    assert store['sub/b.jpg'][1].tolist() == [1]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[{"image_id": 5, "bbox": [0, 0, 1, 1]}]', 'detection 0 has image_id=5, which is not in'),
        ('[{"image_id": 7, "bbox": [0, 0, 1]}]', r'detection 0 has bbox=\[0, 0, 1\]'),
        ('[{"image_id": 7, "bbox": [0, 0, 1, 1], "score": "x"}]', "score='x'"),
        ('[{"image_id": 7, "bbox": [0, NaN, 1, 1]}]', ' holds NaN at line 1 column 30'),
        ('[{"image_id": 7, "bbox": [0, 0, 1e999, 1]}]', r'bbox=\[0, 0, inf, 1\].*finite'),
        ('[{"image_id": 7, "bbox": [0, 0, -1, 1]}]', 'bbox=.*-1, 1.*at least 0'),
        ('[{"image_id": 7, "bbox": [0, 0, true, 1]}]', 'bbox=.*True'),
        ('[{"image_id": 7, "bbox": [0, 0, 1' + 400 * '0' + ', 1]}]', 'bbox=.*000.*finite'),
        ('[{"image_id": 7, "bbox": {"x": 1}}]', "bbox={'x': 1}"),
        ('[{"image_id": 7, "bbox": [0, 0, 1, 1], "score": 1e999}]', r'score=inf.*in \[0, 1\]'),
        ('[{"image_id": 7, "bbox": [0, 0, 1, 1], "score": 1.5}]', 'score=1.5'),
        ('[{"image_id": 7, "bbox": [0, 0, 1, 1], "score": -0.1}]', 'score=-0.1'),
        ('[{"image_id": [7], "bbox": [0, 0, 1, 1]}]', 'detection 0 is .*image_id'),
        ('[3]', 'detection 0 is 3'),
        ('{"images": []}', 'expected a list of detections, got dict'),
        ('[{"image_id"', 'is not JSON, or cut short'),
    ],
)
def test_wrong_coco_json(tmp_path, ann_file, content, message):
    path = tmp_path / 'd.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=f'd.json.*{message}'):
        list(from_coco_json(path, ann_file))


def _dump(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


def test_mmdet_samples(tmp_path, ann_file):
    samples = [
        dict(
            img_path=str(tmp_path / 'images/sub/b.jpg'),
            img_id=9,
            ori_shape=(80, 200),
            pred_instances=dict(
                bboxes=torch.tensor([[0.0, 0, 100, 40], [20, 20, 40, 60]]),
                scores=torch.tensor([0.25, 0.5]),
                labels=torch.tensor([1, 2]),
            ),
        ),
        dict(
            img_path=str(tmp_path / 'images/c.jpg'),
            img_id=4,
            ori_shape=(10, 10),
            pred_instances=dict(bboxes=np.array([[0, 0, 5, 5]])),
        ),
    ]
    path = _dump(tmp_path / 'r.pkl', samples)
    for options in ({}, {'ann_file': ann_file}):
        store = _converted(from_mmdet(path, tmp_path / 'images', **options), tmp_path)
        boxes, scores = store['sub/b.jpg']
        np.testing.assert_allclose(boxes, [[0.1, 0.25, 0.2, 0.75], [0, 0, 0.5, 0.5]], atol=1e-5)
        np.testing.assert_allclose(scores, [0.5, 0.25])
        assert store['c.jpg'][1].tolist() == [1]  # no score


def test_mmdet_arrays_in_the_order_of_the_annotations(tmp_path, ann_file):
    of_classes = [np.array([[0, 0, 50, 25, 0.5]]), np.zeros((0, 5)), np.array([[0, 0, 9, 9, 0.75]])]
    path = _dump(tmp_path / 'r.pkl', [of_classes, np.zeros((0, 5)), np.array([[0, 0, 5, 5.0]])])
    store = _converted(from_mmdet(path, tmp_path / 'images', ann_file), tmp_path)
    np.testing.assert_allclose(store['a.jpg'][1], [0.75, 0.5])
    np.testing.assert_allclose(store['a.jpg'][0][1], [0, 0, 0.5, 0.5], atol=1e-5)
    assert len(store['sub/b.jpg'][1]) == 0 and store['c.jpg'][1].tolist() == [1]
    with pytest.raises(ValueError, match='arrays of 3 images without names, .*None has 0 images'):
        list(from_mmdet(path, tmp_path / 'images'))


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        ([0, 0, np.nan, 9, 0.5], r'box \[0.0, 0.0, nan, 9.0\], expected finite'),
        ([5, 0, 4, 9, 0.5], r'box \[5.0, 0.0, 4.0, 9.0\], expected .*x1 <= x2'),
        ([0, 0, 9, 9, 1.25], r'score 1.25, expected a number in \[0, 1\]'),
        ([0, 0, 9, 9, np.nan], 'score nan'),
    ],
)
def test_wrong_numbers_of_mmdet(tmp_path, ann_file, row, message):
    path = _dump(tmp_path / 'r.pkl', [np.zeros((0, 5)), np.array([row]), np.zeros((0, 5))])
    with pytest.raises(ValueError, match=f"source: image 'sub/b.jpg': {message}"):
        _converted(from_mmdet(path, tmp_path / 'images', ann_file), tmp_path)


def test_mmdet_proposals_need_trust(tmp_path, ann_file):
    def found(*rows):
        return InstanceData(bboxes=np.array(rows).reshape(-1, 4), scores=np.ones(len(rows)))

    content = {'images/a.jpg': found([0, 0, 50, 25]), 'sub/b.jpg': found(), 'images/c.jpg': found()}
    path = _dump(tmp_path / 'p.pkl', content)
    with pytest.raises(ValueError, match='p.pkl: it holds mmengine.*InstanceData.*--trust'):
        list(from_mmdet(path, tmp_path / 'images', ann_file))
    store = _converted(from_mmdet(path, tmp_path / 'images', ann_file, trust=True), tmp_path)
    np.testing.assert_allclose(store['a.jpg'][0], [[0, 0, 0.5, 0.5]], atol=1e-5)


class _Attack:
    def __reduce__(self):
        return print, ('code of the pickle runs',)


class _NestedAttack:
    """Inside of what torch's own unpickling of a storage would read without a check."""

    def __reduce__(self):
        inner = pickle.dumps(_Attack())
        return torch.storage._load_from_bytes, (inner,)


@pytest.mark.parametrize('attack', [_Attack(), _NestedAttack(), [np.array([_Attack()], object)]])
def test_pickles_run_no_code(tmp_path, attack, capsys):
    path = _dump(tmp_path / 'evil.pkl', attack)
    with pytest.raises(ValueError, match='evil.pkl'):
        read_pickle(path)
    assert 'runs' not in capsys.readouterr().out


def test_broken_pickle(tmp_path):
    path = tmp_path / 'cut.pkl'
    path.write_bytes(pickle.dumps([np.zeros(9)])[:-20])
    with pytest.raises(ValueError, match='cut.pkl is not a pickle, or cut short'):
        read_pickle(path)


def test_convert_tool(tmp_path, ann_file, root, monkeypatch, capsys):
    monkeypatch.syspath_prepend(root / 'tools')
    tool = importlib.import_module('convert_proposals')
    path = tmp_path / 'd.json'
    path.write_text(json.dumps([dict(image_id=7, bbox=[0, 0, 10, 10], score=0.5)]))
    words = [str(path), str(tmp_path / 'o.prop'), '--img-prefix', str(tmp_path / 'train2014')]
    assert tool.main(words) == 2
    assert '--ann-file: needed' in capsys.readouterr().err
    assert tool.main([*words, '--ann-file', str(ann_file)]) == 0
    assert '3 images, 1 boxes' in capsys.readouterr().out
    assert ProposalStore(tmp_path / 'o.prop').folder == 'train2014'
    assert tool.main(['d.txt', *words[1:]]) == 2
    assert 'd.txt: expected .json' in capsys.readouterr().err
