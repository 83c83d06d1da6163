"""Turn detections found elsewhere into a proposals file.

    python tools/convert_proposals.py detections.json OUT --img-prefix IMAGES --ann-file ANN.json
    python tools/convert_proposals.py results.pkl OUT --img-prefix IMAGES

Reads COCO's results format (.json) and pickles of mmdet (.pkl, .pickle). A detection without a
score counts as 1. The class is not used.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mmmlc.proposals.convert import convert, from_coco_json, from_mmdet


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('source', help='detections: .json, .pkl or .pickle')
    parser.add_argument('out', metavar='OUT', help='proposals file to write')
    parser.add_argument('--img-prefix', required=True, help='image folder of the data set')
    parser.add_argument('--ann-file', help='COCO JSON with the images')
    parser.add_argument(
        '--max-boxes', type=int, default=2000, help='best of an image (%(default)s)'
    )
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read a pickle whatever it holds. It can run any code: only for files of your own',
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Convert."""
    args = parse_args(arguments)
    suffix = Path(args.source).suffix
    try:
        if suffix == '.json':
            if args.ann_file is None:
                raise ValueError('--ann-file: needed to find the images of a .json')
            detections = from_coco_json(args.source, args.ann_file)
        elif suffix in ('.pkl', '.pickle'):
            detections = from_mmdet(args.source, args.img_prefix, args.ann_file, args.trust)
        else:
            raise ValueError(f'{args.source}: expected .json, .pkl or .pickle')
        if args.max_boxes < 1:
            raise ValueError(f'--max-boxes {args.max_boxes}: expected at least 1')
        source = os.path.basename(args.source)
        images, boxes = convert(detections, args.out, args.img_prefix, source, args.max_boxes)
    except (ValueError, FileNotFoundError) as error:
        print(f'convert_proposals: {error}', file=sys.stderr)
        return 2
    print(f'{args.out}: {images:,} images, {boxes:,} boxes')
    return 0


if __name__ == '__main__':
    sys.exit(main())
