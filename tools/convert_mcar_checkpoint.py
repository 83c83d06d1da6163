"""Convert a published checkpoint of MCAR's authors into one of ours.

python tools/convert_mcar_checkpoint.py mcar_resnet101_coco.pth.tar mcar_r101_coco.pth
python tools/test.py configs/mcar/mcar_r101_coco.py mcar_r101_coco.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmmlc.systems.mcar.convert import ARCHS, CLASS_ORDERS, convert_mcar_file


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('source', metavar='IN', type=Path, help="the authors' .pth.tar")
    parser.add_argument('out', metavar='OUT', type=Path, help='the checkpoint to write')
    parser.add_argument(
        '--class-order',
        choices=CLASS_ORDERS,
        default='category',
        help='classes in the order of the data set, or sorted by name as COCO is in IN',
    )
    parser.add_argument(
        '--classes',
        metavar='FILE',
        type=Path,
        help="names of the classes in IN's order, one a line, for other data than VOC and COCO",
    )
    parser.add_argument('--overwrite', action='store_true', help='replace OUT if it exists')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='unpickle IN in full: code hidden in it would run',
    )
    return parser.parse_args()


def main() -> None:
    """Convert."""
    args = parse_args()
    if args.out.exists() and not args.overwrite:
        raise FileExistsError(f'{args.out} exists: give --overwrite to replace it')
    classes = args.classes.read_text().split('\n') if args.classes else None
    if classes:
        classes = [line.strip() for line in classes if line.strip()]
    converted = convert_mcar_file(args.source, args.out, args.class_order, classes, args.trust)
    names = converted['meta']['dataset_meta']['classes']
    title = ARCHS[converted['meta']['mcar']['arch']].title
    print(f'{args.out}: {title}, {len(names)} classes, {names[0]} to {names[-1]}')


if __name__ == '__main__':
    main()
