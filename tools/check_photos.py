"""For developers: read folders of real photographs, and compare with what other readers find.

    python tools/check_photos.py data/coco128 data/VOCdevkit/VOC2007

A folder has COCO's layout (annotations/instances_*.json, images beside it) or VOC's (Annotations,
ImageSets/Main, JPEGImages). Labels and boxes are compared with pycocotools, or with the XML and
mmpretrain, and every image goes through a pipeline. Exit status: 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger
from mmpretrain.datasets import VOC as PlainVOC
from PIL import Image
from pycocotools.coco import COCO

from mmmlc.datasets import VOC, BrokenImageError, CocoMultiLabel

SIDE = 64
PIPELINE = [
    dict(type='mmmlc.LoadImage'),
    dict(type='mmpretrain.Resize', scale=(SIDE, SIDE), backend='pillow'),
    dict(type='mmmlc.RandomFlip', prob=0.5),
    dict(type='mmmlc.PackInputs'),
]
# What rounding to 32 bits may cost, in pixels.
CLOSE = 1e-3
SHOWN = 5
Problems = Iterator[str]


def check_folder(folder: Path) -> Iterator[tuple[str, Problems]]:
    """Names of the checks of a folder, each with the problems it finds.

    Raises:
        FileNotFoundError: if the folder has neither layout.
    """
    annotations = sorted(folder.glob('annotations/instances_*.json'))
    splits = sorted(folder.glob('ImageSets/Main/*.txt'))
    if not annotations and not splits:
        raise FileNotFoundError(
            f'{folder}: expected annotations/instances_*.json (COCO) or ImageSets/Main/*.txt (VOC)'
        )
    for file in annotations:
        yield from check_coco(file)
    for file in splits:
        if '_' not in file.stem:  # cat_train.txt lists the images of a class
            yield from check_voc(folder, file.stem)


def check_coco(file: Path) -> Iterator[tuple[str, Problems]]:
    """Checks of an annotation file in COCO's layout."""
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(str(file))
    images = str(image_folder(file.parents[1], reference.dataset['images'][0]['file_name']))
    options = dict(data_prefix=images, pipeline=PIPELINE, test_mode=True)
    whole = CocoMultiLabel(str(file), keep_unlabelled=True, **options)
    name = f'{file}: {len(whole)} images'
    yield f'{name}, labels and boxes are those of pycocotools', coco_problems(whole, reference)
    labelled = CocoMultiLabel(str(file), **options)
    yield f'{name}, {len(labelled)} have labels', unlabelled_problems(labelled, reference)
    yield f'{name} pass the pipeline', pipeline_problems(whole)


def image_folder(root: Path, name: str) -> Path:
    """The folder below ``root`` that holds an image; FileNotFoundError if none does."""
    for folder in (root / 'images', *sorted(root.glob('images/*')), *sorted(root.glob('*'))):
        if (folder / name).is_file():
            return folder
    raise FileNotFoundError(f'{root}: no folder holds {name}')


def coco_problems(dataset: CocoMultiLabel, reference: COCO) -> Problems:
    """Where classes, labels or boxes differ from what pycocotools reads."""
    ids = sorted(reference.getCatIds())
    names = [category['name'] for category in reference.loadCats(ids)]
    if names != list(dataset.metainfo['classes']):
        yield f'classes {dataset.metainfo["classes"]}, expected {names}'
    if len(dataset) != len(reference.getImgIds()):
        yield f'{len(dataset)} images, expected {len(reference.getImgIds())}'
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        anns = reference.loadAnns(reference.getAnnIds(info['img_id']))
        labels = [ids.index(ann['category_id']) for ann in anns]
        sides = np.tile(info['ann_shape'][::-1], 2)
        true = np.array([ann['bbox'] for ann in anns], dtype=np.float64).reshape(-1, 4)
        true[:, 2:] += true[:, :2]
        pairs = dict(
            gt_label=(info['gt_label'], sorted(set(labels))),
            box_labels=(info['box_labels'].tolist(), labels),
            box_crowd=(info['box_crowd'].tolist(), [bool(ann['iscrowd']) for ann in anns]),
            box_areas=(info['box_areas'], np.float32([ann['area'] for ann in anns])),
            boxes=(info['boxes'] * sides, true.clip(0, sides)),  # some pass the edge
        )
        yield from differences(info['img_path'], pairs)


def differences(image: str, pairs: dict[str, tuple]) -> Problems:
    """Fields of an image whose value is not the expected one."""
    for field, (found, expected) in pairs.items():
        found, expected = np.asarray(found), np.asarray(expected)
        if found.shape != expected.shape:
            yield f'{image}: {field} is {found.tolist()}, expected {expected.tolist()}'
        elif wrong := np.argwhere(~np.isclose(found, expected, rtol=0, atol=CLOSE)).tolist():
            place = tuple(wrong[0])
            where = f'{field}{list(place) or ""}'
            yield f'{image}: {where} is {found[place]}, expected {expected[place]}'


def unlabelled_problems(dataset: CocoMultiLabel, reference: COCO) -> Problems:
    """Images that are dropped though they have annotations, or kept without any."""
    kept = {dataset.get_data_info(i)['img_id'] for i in range(len(dataset))}
    expected = {ann['image_id'] for ann in reference.dataset['annotations']}
    for image in sorted(kept ^ expected, key=str):
        yield f'image {image} is {"kept" if image in kept else "dropped"}'


def check_voc(root: Path, split: str) -> Iterator[tuple[str, Problems]]:
    """Checks of a split in VOC's layout."""
    dataset = VOC(str(root), split, pipeline=PIPELINE, test_mode=True)
    name = f'{root}, {split}: {len(dataset)} images'
    yield f'{name}, labels and boxes are those of the XML', xml_problems(dataset, root)
    plain = PlainVOC(data_root=str(root), split=split, test_mode=True)
    yield f'{name}, labels are those of mmpretrain', plain_problems(dataset, plain)
    yield f'{name} pass the pipeline', pipeline_problems(dataset)


def xml_problems(dataset: VOC, root: Path) -> Problems:
    """Where names or boxes differ from the XML."""
    classes = dataset.metainfo['classes']
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        tree = ET.parse(root / f'Annotations/{info["img_id"]}.xml')
        objects = tree.findall('object')
        sides = [float(tree.find(f'size/{side}').text) for side in ('width', 'height')] * 2
        ends = [
            [float(o.find(f'bndbox/{end}').text) for end in ('xmin', 'ymin', 'xmax', 'ymax')]
            for o in objects
        ]
        true = np.array(ends).reshape(-1, 4)
        names = [classes[label] for label in info['box_labels']]
        if names != [o.find('name').text for o in objects]:
            yield f'{info["img_path"]}: boxes of {names}'
        # Pixels are counted from 1, both ends inside.
        pixels = info['boxes'].astype(np.float64) * sides + [1, 1, 0, 0]
        yield from differences(info['img_path'], dict(boxes=(pixels, true)))


def plain_problems(dataset: VOC, plain: PlainVOC) -> Problems:
    """Where labels differ from mmpretrain's, which has the difficult ones apart."""
    if len(dataset) != len(plain):
        yield f'{len(dataset)} images, expected {len(plain)}'
    for i in range(min(len(dataset), len(plain))):
        info, other = dataset.get_data_info(i), plain.get_data_info(i)
        easy, hard = set(other['gt_label']), set(other['gt_label_difficult'])
        pairs = dict(
            gt_label=(info['gt_label'], sorted(easy | hard)),
            gt_label_difficult=(sorted(info['gt_label_difficult']), sorted(hard - easy)),
        )
        yield from differences(info['img_path'], pairs)
        if Path(info['img_path']) != Path(other['img_path']):
            yield f'image {i} is {info["img_path"]}, expected {other["img_path"]}'


def pipeline_problems(dataset: BaseDataset) -> Problems:
    """Images that do not load, or come out of the pipeline with another size or other labels."""
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        path = info['img_path']
        try:
            packed = dataset[i]
            with Image.open(path) as image:
                size = image.size[::-1]
        except (BrokenImageError, OSError) as error:
            yield f'{path}: {error}'
            continue
        sample = packed['data_samples']
        pairs = dict(
            inputs=(packed['inputs'].shape, (3, SIDE, SIDE)),
            ori_shape=(sample.ori_shape, size),
            ann_shape=(info['ann_shape'], size),  # of the annotations
            gt_label=(sample.gt_label, sorted(set(sample.box_labels.tolist()))),
            boxes=(sample.boxes, sample.boxes.clamp(0, 1)),
        )
        yield from differences(path, pairs)


def report(name: str, problems: Problems, say: Callable[[str], None] = print) -> int:
    """Print the outcome of a check; the number of problems."""
    found = list(problems)
    say(f'{"FAILED" if found else "ok    "} {name}')
    for problem in found[:SHOWN]:
        say(f'         {problem}')
    if len(found) > SHOWN:
        say(f'         and {len(found) - SHOWN} more')
    return len(found)


def main(words: list[str] | None = None) -> int:
    """Check the folders of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folders', nargs='+', type=Path, metavar='DIR')
    MMLogger.get_instance('mmengine', log_level=logging.WARNING)
    folders = parser.parse_args(words).folders
    found = [report(*check) for folder in folders for check in check_folder(folder)]
    print(f'{len(found)} checks, {sum(map(bool, found))} failed')
    return 1 if any(found) else 0


if __name__ == '__main__':
    sys.exit(main())
