"""Write CocoPhotos, 2,805 photographs of COCO 2017 made small, from COCO's official folders.

    python tools/make_coco_photos.py data/coco           # data/coco_photos, 1,923 + 882 images
    python tools/make_coco_photos.py /data/coco /tmp/photos --workers 8

COCO holds train2017, val2017 and annotations/instances_{train,val}2017.json. Written are OUT/images
and OUT/annotations/instances_{train,val}{,_47}.json: all 80 classes, and the 47 with the most
training images, without person. Which image is in which split says coco_photos/list.csv beside this
file; COCO's own splits are mixed in both. A finished folder is left as it is; an interrupted run
goes on by the same command.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from coco_photos.annotations import (
    CLASSES,
    PARAMETERS,
    QUALITY,
    Listed,
    Source,
    coco_json,
    differing,
    frequent_classes,
    read_list,
    read_source,
    small_size,
)
from PIL import Image
from rich.progress import track

from mmmlc.datasets.transforms import LoadImage
from mmmlc.ops.wording import listed
from mmmlc.whole_files import remove_leftovers, write_whole

SPLITS = ('train', 'val')
MARKER = '.unfinished.json'
LIST = Path(__file__).parent / 'coco_photos' / 'list.csv'


def write_image(image: dict, root: Path, out: Path, loader: LoadImage) -> None:
    """Write one image; one that is small already, and in colour, as it is."""
    path, target = root / image['coco_set'] / image['file_name'], out / image['file_name']
    if target.exists():  # of a run that was interrupted: files are whole or not there
        return
    content = loader.read(str(path))
    picture = loader.picture(str(path))
    if picture.size != (image['width'], image['height']):
        (width, height), found = (image['width'], image['height']), picture.size
        raise ValueError(f'{path} is {found[0]} x {found[1]}, {width} x {height} in the JSON')
    size = small_size(*picture.size)
    if size == picture.size and Image.open(io.BytesIO(content)).mode == 'RGB':
        return write_whole(target, content)
    file = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(file, 'JPEG', quality=QUALITY)
    write_whole(target, file.getvalue())


def annotation_files(out: Path) -> dict[tuple[str, str], Path]:
    """Paths by split and kind of classes."""
    names = [(split, kind) for split in SPLITS for kind in ('', f'_{CLASSES}')]
    return {(s, k): out / 'annotations' / f'instances_{s}{k}.json' for s, k in names}


def is_complete(out: Path, ids: dict[int, Listed]) -> bool:
    """True where ``out`` holds all files of a finished run."""
    if (out / MARKER).exists() or not all(p.is_file() for p in annotation_files(out).values()):
        return False
    return len(list((out / 'images').glob('*.jpg'))) == len(ids)


def prepare_folder(out: Path, force: bool) -> None:
    """Make ``out`` ready to be written: new or empty, of an interrupted run, or forced.

    ``force`` removes what this tool writes (images, annotations) and nothing else.
    Raises FileExistsError where there is other content and ``force`` is off.
    """
    resumed = (out / MARKER).is_file() and (out / MARKER).read_text() == json.dumps(PARAMETERS)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (resumed or force):
        raise FileExistsError(
            f'{out} holds no CocoPhotos that can be gone on with: choose another OUT, or replace '
            'it with --force'
        )
    for name in ('images', 'annotations') if force else ():
        shutil.rmtree(out / name, ignore_errors=True)
    (out / 'images').mkdir(parents=True, exist_ok=True)
    remove_leftovers(out / 'images')
    write_whole(out / MARKER, json.dumps(PARAMETERS).encode())


def _write_images(source: Source, root: Path, out: Path, workers: int) -> Iterator[None]:
    """Write all images, as many at a time as there are workers; one step for each."""
    # COCO's boxes lie on the images as they are stored.
    loader = LoadImage(color_type='color_ignore_orientation')
    job = partial(write_image, root=root, out=out / 'images', loader=loader)
    pool = ThreadPoolExecutor(workers)  # Pillow decodes and resizes outside of Python's lock
    try:
        yield from pool.map(job, source.images.values())
    finally:
        pool.shutdown(cancel_futures=True)


def make_coco_photos(
    coco: Path | str,
    out: Path | str,
    workers: int = 1,
    force: bool = False,
    list_file: Path = LIST,
) -> list[int] | None:
    """Write the data set to ``out``; None where it is already there.

    Returns:
        Ids of images whose annotations in ``coco`` are not as many as in the data that was
        measured; none in COCO 2017 as it is.

    Raises:
        FileNotFoundError: for missing images, all of them by name.
        FileExistsError: where ``out`` holds something else and ``force`` is off.
    """
    coco, out, ids = Path(coco), Path(out), read_list(list_file)
    if not 1 <= workers <= 1024:
        raise ValueError(f'--workers {workers}: expected an integer from 1 to 1024')
    if not force and is_complete(out, ids):
        return None
    source = read_source(coco, ids)
    prepare_folder(out, force)
    for _ in track(_write_images(source, coco, out, workers), 'CocoPhotos', len(ids)):
        pass
    kinds = {'': {c['id'] for c in source.categories}, f'_{CLASSES}': frequent_classes(source, ids)}
    for (split, kind), path in annotation_files(out).items():
        write_whole(path, json.dumps(coco_json(source, ids, split, kinds[kind])).encode())
    (out / MARKER).unlink()
    return differing(source, ids)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('coco', nargs='?', default='data/coco', metavar='COCO')
    parser.add_argument('out', nargs='?', default='data/coco_photos', metavar='OUT')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1, help='images at a time (%(default)s)'
    )
    parser.add_argument('--force', action='store_true', help='replace what OUT holds')
    options = parser.parse_args(arguments)
    try:
        other = make_coco_photos(**vars(options))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print(f'interrupted: the same command goes on with {options.out}', file=sys.stderr)
        return 130
    print(f'{options.out}: ' + ('already there, nothing to do' if other is None else 'written'))
    if other:
        print(
            f'{len(other):,} images have other numbers of boxes or classes than in the data that '
            f'was measured: {listed(other)}'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
