"""Compare what the configs of two folders resolve to, for developers.

python tools/compare_configs.py OLD/configs configs
python tools/compare_configs.py OLD/configs configs --copies

Every config outside of _base_ is resolved in both folders; each key that differs is printed with
both values, and the exit status is 1. --copies measures instead how many lines stand twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

# Variables of bases that nothing but other config files reads: a new one changes no training.
INTENDED = {
    'imagenet_norm': 'mean and deviation of ImageNet, models/imagenet.py',
    'imagenet_weights': 'addresses of ImageNet weights, models/imagenet.py',
    'num_classes': 'of the data',
    'own': 'where the own labels are, finetune/mcar_r50_own.py',
    'plain_distillation': 'a loss that three configs take, models/kd_wsd_distiller_r18_toy.py',
    'proposals': 'a transform, rdal/rdal_vgg16_voc07-512-proposals.py',
    'resize': 'the input size, pipelines/',
    'strides': 'of the pyramid, sca/sca_r18_coco128.py',
    'teacher': 'a hook that five configs take, runtimes/kd_wsd_toy.py',
    'toy_norm': 'mean and deviation of ToyScenes, models/toy.py',
    'toy_resnet': 'the small network, models/toy.py',
    'toy_weights': 'its weights, models/toy.py',
}
RUN = 6  # equal lines that make a copy
MISSING = 'missing'


def leaves(folder: Path) -> dict[str, Path]:
    """The configs outside of ``_base_``, by their path in the folder; ValueError without any."""
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob('*.py'))
        if '_base_' not in path.relative_to(folder).parts
    }
    if not found:
        raise ValueError(f'{folder}: expected a folder with configs, found none')
    return found


def flatten(value: dict | list | tuple, key: str = '') -> Iterator[tuple[str, object]]:
    """Dotted keys and plain values of a resolved config; an empty container is a plain value."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in children:
        name = f'{key}.{name}' if key else str(name)
        if isinstance(child, dict | list | tuple) and child:
            # A tuple is not a list to every reader.
            yield f'{name} is', type(child).__name__
            yield from flatten(child, name)
        else:
            yield name, child


def differences(old: Path, new: Path) -> list[str]:
    """What two configs differ in once resolved, a line for each key; new ``INTENDED`` left out."""
    before, after = (Config.fromfile(path).to_dict() for path in (old, new))
    for name in INTENDED.keys() - before.keys():
        after.pop(name, None)
    before, after = dict(flatten(before)), dict(flatten(after))
    lines = []
    for key in sorted(before.keys() | after.keys()):
        # As text: 1 and 1.0 differ, and so do None and a missing key.
        a, b = (repr(side[key]) if key in side else MISSING for side in (before, after))
        if a != b:
            lines.append(f'{key}: {a} -> {b}')
    return lines


def compare(old: Path, new: Path) -> int:
    """Print the differences of two folders; the number of configs that differ."""
    before, after = leaves(old), leaves(new)
    names = sorted(before.keys() | after.keys())
    different = 0
    for name in names:
        if name in before and name in after:
            lines = differences(before[name], after[name])
        else:
            lines = [f'missing in {new if name in before else old}']
        different += bool(lines)
        print(f'{name}: {"different" if lines else "equal"}')
        for line in lines:
            print(f'    {line}')
    print('\nnot compared where it is new:')
    for name, what in INTENDED.items():
        print(f'    {name}: {what}')
    print(f'{len(names)} configs: {len(names) - different} equal, {different} different')
    return different


def count_copies(paths: list[Path]) -> tuple[int, int]:
    """Lines of files that stand in a run of ``RUN`` or more equal lines for the second time.

    The first time may be in the same file or in one before. Neither blank lines nor comments count,
    nor does indentation.

    Returns:
        The copied lines and all lines.
    """
    seen: set[tuple[str, ...]] = set()
    copied = total = 0
    for path in paths:
        lines = [line.strip() for line in path.read_text().splitlines()]
        lines = [line for line in lines if line and not line.startswith('#')]
        marked: set[int] = set()
        for start in range(len(lines) - RUN + 1):
            run = tuple(lines[start : start + RUN])
            if run in seen:
                marked.update(range(start, start + RUN))
            seen.add(run)
        copied += len(marked)
        total += len(lines)
    return copied, total


def print_copies(folder: Path) -> None:
    """Print the share of second copies among the lines of a folder's configs."""
    everything = sorted(folder.rglob('*.py'))
    for name, paths in (('leaf configs', list(leaves(folder).values())), ('all files', everything)):
        copied, total = count_copies(paths)
        share = copied / total
        print(f'{folder}, {name}: {copied} of {total} lines are second copies, {share:.1%}')


def main() -> int:
    """Compare, or measure copies; the exit status is 1 for different configs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('old', type=Path, help='folder of configs')
    parser.add_argument('new', type=Path, help='folder of configs')
    parser.add_argument('--copies', action='store_true', help='measure second copies in both')
    args = parser.parse_args()
    if args.copies:
        print_copies(args.old)
        print_copies(args.new)
        return 0
    return int(compare(args.old, args.new) > 0)


if __name__ == '__main__':
    sys.exit(main())
