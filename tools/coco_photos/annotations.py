"""CocoPhotos' annotations from those of COCO 2017."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mmmlc.datasets.coco import paused_gc, read_coco
from mmmlc.ops.wording import listed

SOURCES = ('train2017', 'val2017')
SHORT_SIDE, QUALITY = 256, 88
CLASSES, PERSON = 47, 1
PARAMETERS = {'version': 1, 'short_side': SHORT_SIDE, 'quality': QUALITY}
IMAGE_KEYS = ('license', 'flickr_url', 'coco_url')  # carried over where COCO has them
NEEDED = {'images': ('width', 'height'), 'annotations': ('bbox', 'area', 'iscrowd')}


class Listed(NamedTuple):
    """A row of list.csv, beside this file."""

    split: str
    boxes: int  # annotations in the data that was measured, crowds included
    classes: int  # different ones among them


class Source(NamedTuple):
    """What is needed of COCO."""

    images: dict[int, dict]  # by id, with the name of the folder that they are in
    annotations: dict[int, list[dict]]  # by image
    categories: list[dict]
    licenses: list[dict]


def read_list(path: Path) -> dict[int, Listed]:
    """Rows of the list by image id, ascending."""
    with path.open(newline='', encoding='utf-8') as file:
        rows = {
            int(row['image']): Listed(row['split'], int(row['boxes']), int(row['classes']))
            for row in csv.DictReader(file)
        }
    return dict(sorted(rows.items()))


def read_source(root: Path, ids: dict[int, Listed]) -> Source:
    """Images of the list in COCO's files.

    Raises:
        FileNotFoundError: naming all images that are in no JSON, or whose files are missing.
        ValueError: for a JSON that is not COCO's.
    """
    images, annotations = {}, {}
    for folder in SOURCES:
        path = root / 'annotations' / f'instances_{folder}.json'
        with paused_gc():
            coco = read_coco(str(path))
        for number in coco.imgs.keys() & ids.keys():
            images[number] = coco.imgs[number] | {'coco_set': folder}
            annotations[number] = sorted(coco.imgToAnns.get(number, []), key=lambda a: a['id'])
            _check_keys(path, images[number], annotations[number])
    if missing := [number for number in ids if number not in images]:
        files = ' and '.join(f'instances_{folder}.json' for folder in SOURCES)
        raise FileNotFoundError(
            f'{root}/annotations: {len(missing):,} images are neither in {files}: '
            f'{listed(missing, most=len(missing))}'
        )
    paths = [root / image['coco_set'] / image['file_name'] for image in images.values()]
    if missing := sorted(str(path) for path in paths if not path.is_file()):
        names = '\n'.join(missing)
        raise FileNotFoundError(f'{len(missing):,} of {len(ids):,} images are missing:\n{names}')
    categories = [coco.cats[number] for number in sorted(coco.cats)]
    return Source(images, annotations, categories, coco.dataset.get('licenses', []))


def _check_keys(path: Path, image: dict, annotations: list[dict]) -> None:
    """ValueError for an image or annotation without what is needed."""
    for section, entries in (('images', [image]), ('annotations', annotations)):
        for entry in entries:
            if missing := [key for key in NEEDED[section] if key not in entry]:
                raise ValueError(f'{path}: {section} id {entry["id"]} has no {", ".join(missing)}')


def small_size(width: int, height: int) -> tuple[int, int]:
    """Width and height with a short side of at most 256 pixels."""
    scale = min(1.0, SHORT_SIDE / min(width, height))
    return round(width * scale), round(height * scale)


def small_image(image: dict) -> dict:
    """The entry of an image for the small one; its licence is carried over."""
    width, height = small_size(image['width'], image['height'])
    return {
        'id': image['id'],
        'file_name': image['file_name'],
        'width': width,
        'height': height,
        'orig_width': image['width'],
        'orig_height': image['height'],
        'coco_set': image['coco_set'],
        **{key: image[key] for key in IMAGE_KEYS if key in image},
    }


def small_annotation(annotation: dict, image: dict) -> dict:
    """A box for the small image, in its pixels, rounded to hundredths."""
    x, y = image['width'] / image['orig_width'], image['height'] / image['orig_height']
    scaled = [v * s for v, s in zip(annotation['bbox'], (x, y, x, y), strict=True)]
    return {
        'id': annotation['id'],
        'image_id': annotation['image_id'],
        'category_id': annotation['category_id'],
        'bbox': [round(value, 2) for value in scaled],
        'area': round(annotation['area'] * x * y, 2),
        'iscrowd': annotation['iscrowd'],
    }


def frequent_classes(source: Source, ids: dict[int, Listed]) -> set[int]:
    """Category ids of the 47 classes with the most training images, without person."""
    counts: Counter[int] = Counter()
    for number in (number for number, row in ids.items() if row.split == 'train'):
        counts.update({a['category_id'] for a in source.annotations[number]})
    del counts[PERSON]
    return {category for category, _ in counts.most_common(CLASSES)}


def coco_json(source: Source, ids: dict[int, Listed], split: str, classes: set[int]) -> dict:
    """COCO 'instances' of a split with the annotations of some classes."""
    images = [small_image(source.images[n]) for n, row in ids.items() if row.split == split]
    annotations = [
        small_annotation(annotation, image)
        for image in images
        for annotation in source.annotations[image['id']]
        if annotation['category_id'] in classes
    ]
    info = {
        'description': f'CocoPhotos, {split}: part of COCO 2017, made small by '
        'tools/make_coco_photos.py of mmmlc',
        'parameters': PARAMETERS,
    }
    return {
        'info': info,
        'licenses': source.licenses,
        'images': images,
        'annotations': annotations,
        'categories': [c for c in source.categories if c['id'] in classes],
    }


def differing(source: Source, ids: dict[int, Listed]) -> list[int]:
    """Images with another number of boxes or classes than in the data that was measured."""
    found = {
        number: (len(group), len({annotation['category_id'] for annotation in group}))
        for number, group in source.annotations.items()
    }
    return [number for number, row in ids.items() if found[number] != (row.boxes, row.classes)]
