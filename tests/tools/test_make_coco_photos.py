"""CocoPhotos from a made-up COCO: split, sizes, boxes, licences, what is missing, resuming."""

from __future__ import annotations

import json
import sys
from collections import Counter

import numpy as np
import pytest
from helpers.places import ROOT
from PIL import Image

sys.path.append(str(ROOT / 'tools'))

import make_coco_photos as tool
from coco_photos.annotations import read_list

from mmmlc.datasets.coco import CocoMultiLabel

PERSON, CAT, DOG = 1, 17, 18
# Id: COCO's set, split, (width, height), mode, categories of its boxes.
IMAGES = {
    1: ('train2017', 'train', (640, 480), 'RGB', [PERSON, CAT, CAT]),
    2: ('val2017', 'train', (301, 500), 'RGB', [DOG]),
    3: ('val2017', 'train', (320, 200), 'RGB', [PERSON]),
    4: ('train2017', 'val', (320, 200), 'L', [CAT, DOG]),
    5: ('val2017', 'val', (300, 300), 'RGB', []),
}
OTHERS = {6: ('train2017', None, (400, 400), 'RGB', [DOG])}
BOX = [10.5, 20.25, 100, 50]


def pixels(size, mode):
    """Something smooth, so that resizing is well-behaved."""
    x, y = np.meshgrid(np.linspace(0, 3, size[0]), np.linspace(0, 3, size[1]))
    channels = [np.sin(x * f) * np.cos(y / f) for f in (1, 2, 3)]
    image = np.uint8(127 + 100 * np.stack(channels, -1))
    return Image.fromarray(image).convert(mode)


@pytest.fixture
def coco(tmp_path):
    """COCO's folders, with one image more than is listed."""
    root, number = tmp_path / 'coco', 900
    for folder in ('train2017', 'val2017'):
        (root / folder).mkdir(parents=True)
        images, annotations = [], []
        for i, (of, _, (width, height), mode, categories) in (IMAGES | OTHERS).items():
            if of != folder:
                continue
            name = f'{i:012d}.jpg'
            exif = Image.Exif()
            exif[0x0112] = 6 if i == 2 else 1  # the annotations are of the image as it is stored
            pixels((width, height), mode).save(root / folder / name, exif=exif)
            entry = dict(id=i, file_name=name, width=width, height=height)
            images.append(entry | dict(license=i, coco_url=f'http://x/{i}', date_captured='?'))
            for category in categories:
                number -= 1  # as in COCO, not in the order of the images
                box = dict(bbox=BOX, area=4000.0, iscrowd=int(category == PERSON))
                owner = dict(id=number, image_id=i, category_id=category, segmentation=[])
                annotations.append(owner | box)
        names = {PERSON: 'person', DOG: 'dog', CAT: 'cat'}
        content = dict(
            licenses=[dict(id=1, name='By Somebody', url='http://x')],
            images=images,
            annotations=annotations,
            categories=[dict(id=c, name=n, supercategory='s') for c, n in names.items()],
        )
        write_json(root, folder, content)
    return root


def write_json(root, folder, content):
    (root / 'annotations').mkdir(exist_ok=True)
    (root / f'annotations/instances_{folder}.json').write_text(json.dumps(content))


def read_json(root, name):
    return json.loads((root / f'annotations/instances_{name}.json').read_text())


@pytest.fixture
def make(coco, tmp_path):
    rows = [f'{i},{row[1]},{len(row[4])},{len(set(row[4]))}' for i, row in IMAGES.items()]
    path = tmp_path / 'list.csv'
    path.write_text('\n'.join(['image,split,boxes,classes', *rows]) + '\n')

    def run(**options):
        return tool.make_coco_photos(coco, tmp_path / 'out', list_file=path, **options)

    return run


def test_folder_is_written(make, coco, tmp_path):
    assert make(workers=2) == []
    out = tmp_path / 'out'
    found = {p.relative_to(out).as_posix() for p in out.rglob('*') if p.is_file()}
    files = {f'instances_{split}{kind}.json' for split in ('train', 'val') for kind in ('', '_47')}
    images = {f'images/{i:012d}.jpg' for i in IMAGES}
    assert found == {f'annotations/{name}' for name in files} | images
    for split in ('train', 'val'):
        for kind, classes in (('', [PERSON, CAT, DOG]), ('_47', [CAT, DOG])):
            content = read_json(out, split + kind)
            ids = [i for i, row in IMAGES.items() if row[1] == split]
            assert [image['id'] for image in content['images']] == ids
            assert [c['id'] for c in content['categories']] == classes
            pairs = Counter((a['image_id'], a['category_id']) for a in content['annotations'])
            assert pairs == Counter((i, c) for i in ids for c in IMAGES[i][4] if c in classes)


def test_images_are_small(make, coco, tmp_path):
    """Lanczos and JPEG quality 88; small ones in colour stay the same file."""
    make()
    sizes = {1: (341, 256), 2: (256, 425), 3: (320, 200), 4: (320, 200), 5: (256, 256)}
    for i, size in sizes.items():
        path = tmp_path / f'out/images/{i:012d}.jpg'
        original = coco / IMAGES[i][0] / path.name
        with Image.open(path) as image:
            assert image.size == size and image.mode == 'RGB'
            if i == 3:
                assert path.read_bytes() == original.read_bytes()
                continue
            with Image.open(original) as large:
                wanted = large.convert('RGB').resize(size, Image.Resampling.LANCZOS)
            wanted.save(tmp_path / 'wanted.jpg', quality=88)
            with Image.open(tmp_path / 'wanted.jpg') as wanted:
                assert np.array_equal(np.array(image), np.array(wanted))
                assert image.quantization == wanted.quantization


def test_annotations_are_rescaled_and_licences_kept(make, tmp_path):
    make()
    content = read_json(tmp_path / 'out', 'train')
    first = content['images'][0]
    assert first == dict(
        id=1,
        file_name='000000000001.jpg',
        width=341,
        height=256,
        orig_width=640,
        orig_height=480,
        coco_set='train2017',
        license=1,
        coco_url='http://x/1',
    )
    assert content['licenses'] == [dict(id=1, name='By Somebody', url='http://x')]
    cat, _, person = (a for a in content['annotations'] if a['image_id'] == 1)
    # 10.5, 100 of 640 -> 341 and 20.25, 50 of 480 -> 256
    assert cat['bbox'] == [5.59, 10.8, 53.28, 26.67]
    assert cat['area'] == round(4000 * 341 / 640 * 256 / 480, 2)
    assert (cat['iscrowd'], person['iscrowd']) == (0, 1)
    assert [a['id'] for a in content['annotations']][:3] == [897, 898, 899]


def test_our_data_set_reads_it(make, tmp_path):
    make()
    dataset = CocoMultiLabel(
        'annotations/instances_val_47.json',
        data_root=str(tmp_path / 'out'),
        data_prefix=dict(img_path='images'),
        pipeline=[dict(type='mmmlc.LoadImage')],
    )
    assert dataset.metainfo['classes'] == ('cat', 'dog') and len(dataset) == 1
    sample = dataset[0]
    assert sample['gt_label'] == [0, 1] and sample['img'].shape == (200, 320, 3)
    np.testing.assert_allclose(sample['boxes'][0], [10.5 / 320, 20.25 / 200, 110.5 / 320, 0.35125])


def test_missing_images_are_named_all_at_once(make, coco):
    for i in (2, 4):
        (coco / IMAGES[i][0] / f'{i:012d}.jpg').unlink()
    match = '2 of 5 images are missing:\n.*train2017/000000000004.jpg\n.*val2017/000000000002.jpg$'
    with pytest.raises(FileNotFoundError, match=match):
        make()
    content = read_json(coco, 'val2017')
    write_json(coco, 'val2017', content | dict(images=content['images'][:1], annotations=[]))
    with pytest.raises(FileNotFoundError, match='2 images are neither in .*: 3, 5$'):
        make()


@pytest.mark.parametrize(
    ('section', 'key', 'match'),
    [
        ('images', 'width', 'images id 2 has no width'),
        ('annotations', 'area', 'id 8.. has no area'),
    ],
)
def test_incomplete_json(make, coco, section, key, match):
    content = read_json(coco, 'val2017')
    del content[section][0][key]
    write_json(coco, 'val2017', content)
    with pytest.raises(ValueError, match=f'instances_val2017.json: .*{match}'):
        make()


def test_another_image_under_the_name(make, coco):
    pixels((300, 301), 'RGB').save(coco / 'val2017/000000000005.jpg')
    with pytest.raises(ValueError, match='005.jpg is 300 x 301, 300 x 300 in the JSON'):
        make()


def test_other_annotations_are_told(make, coco):
    """One box less, or another class: the list has the numbers of what was measured."""
    content = read_json(coco, 'train2017')
    content['annotations'] = content['annotations'][1:]
    write_json(coco, 'train2017', content)
    content = read_json(coco, 'val2017')
    content['annotations'][0]['category_id'] = CAT  # as many: not seen
    write_json(coco, 'val2017', content)
    assert make() == [1]


def test_finished_and_interrupted_runs(make, coco, tmp_path, monkeypatch):
    write, seen = tool.write_image, []

    def breaking(image, **options):
        if image['id'] == 4:
            raise KeyboardInterrupt
        write(image, **options)

    monkeypatch.setattr(tool, 'write_image', breaking)
    with pytest.raises(KeyboardInterrupt):
        make()
    out = tmp_path / 'out'
    assert (out / tool.MARKER).exists() and not (out / 'annotations').exists()
    there = {path.name: path.stat().st_mtime_ns for path in (out / 'images').iterdir()}
    assert 0 < len(there) < 5
    monkeypatch.setattr(tool, 'write_image', write)
    assert make() == []
    for name, time in there.items():
        assert (out / 'images' / name).stat().st_mtime_ns == time
    monkeypatch.setattr(tool, 'write_image', lambda image, **options: seen.append(image))
    assert make() is None and seen == []
    monkeypatch.setattr(tool, 'write_image', write)
    (out / 'images/000000000001.jpg').unlink()
    with pytest.raises(FileExistsError, match='out holds no CocoPhotos that can be gone on with'):
        make()
    (out / 'mine.txt').write_text('kept')
    assert make(force=True) == []
    assert (out / 'mine.txt').exists() and (out / 'images/000000000001.jpg').exists()


def test_command_line(tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path / 'none'), str(tmp_path / 'out')])
    assert 'instances_train2017.json' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(['--workers', '0'])
    assert '--workers 0: expected an integer from 1 to 1024' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_list_of_images():
    """1,923 and 882 images, with the boxes that docs/data.md names."""
    rows = read_list(tool.LIST).values()
    assert Counter(row.split for row in rows) == {'train': 1923, 'val': 882}
    boxes = Counter()
    for row in rows:
        boxes[row.split] += row.boxes
        assert row.classes <= row.boxes and (row.classes > 0) == (row.boxes > 0)
    assert boxes == {'train': 18321, 'val': 8144}
