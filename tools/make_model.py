"""Make a model that is ready: a folder for mmmlc.get_model, from your labels or a trained model.

    python tools/make_model.py labels.csv --images photos --out models/mine
    python tools/make_model.py train.json --images photos --val val.json --out models/mine
    python tools/make_model.py --config CONFIG --checkpoint WEIGHTS --out models/mine

The first two train a linear classifier per class on a frozen backbone with ImageNet weights, and
choose thresholds on images that the scored classifier did not see. The third takes a trained model
as it is. See docs/ready_model.md.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmpretrain.datasets import BaseDataset
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from mmmlc.engine import load_checkpoint_file, load_config, use_strict_loaders
from mmmlc.engine.command_line import add_trust
from mmmlc.neutral import safe_line, write_csv
from mmmlc.ops.scores import average_precision
from mmmlc.ops.wording import listed
from mmmlc.ready import linear, make
from mmmlc.ready.card import FILES, Card, class_table, linear_words, photographs
from mmmlc.ready.folder import CARD, check_free, new_folder, write_model
from mmmlc.ready.measure import cost_of, evaluate, image_paths, rows_of, training_rows
from mmmlc.ready.model import get_model
from mmmlc.registry import DATASETS


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('labels', nargs='?', type=Path, help='CSV, table, JSON lines, or COCO JSON (*.json)')
    add('--images', type=Path, metavar='DIR', help='where the paths in it start')
    add('--split', help='rows of CSV or JSON lines to train on (all)')
    add('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    add('--val', type=Path, metavar='LABELS', help='the card has numbers on these')
    add('--val-split', help='rows of --val, without it of LABELS')
    add('--backbone', choices=make.BACKBONES, default='lite0', help='(lite0)')
    add('--size', type=int, default=224, help='of the input in pixels (224)')
    add('--regions', type=int, default=0, metavar='N', help='regions an image, by MCAR (0)')
    add('--half', action='store_true', help='store weights as float16')
    add('--seed', type=int, default=0, help='of the folds (0)')
    add('--config', help='another network and input')
    add('--checkpoint', help='its weights; without LABELS with its head')
    add('--about', type=Path, metavar='FILE', help='Markdown for the card')
    add('--licence', type=Path, metavar='FILE', help='becomes LICENSE')
    add('--workers', type=int, default=1, help='processes that read images (1)')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--work-dir', type=Path, metavar='DIR', help='of the features')
    add_trust(parser)
    add('--force', action='store_true', help='replace the model in --out')
    args = parser.parse_args(arguments)
    if args.labels is None and not (args.config and args.checkpoint):
        parser.error('expected LABELS, or --config and --checkpoint')
    if args.checkpoint and not args.config:
        parser.error('--checkpoint needs the --config of its network')
    if args.images is None and (args.labels or args.val):
        parser.error('--images: expected the folder where the paths of the labels start')
    if args.size < 32 or args.regions < 0 or args.workers < 0:
        parser.error('expected a --size of at least 32, --regions and --workers of at least 0')
    args.work_dir = args.work_dir or Path('work_dirs/make_model', args.out.name)
    args.val = args.labels if args.val_split and args.val is None else args.val
    args.command = shlex.join(['python', 'tools/make_model.py', *(arguments or sys.argv[1:])])
    return args


class Made(NamedTuple):
    """A model before it is written."""

    cfg: Config
    state: dict[str, Tensor]
    classes: Sequence[str]
    what: str  # for the card
    numbers: dict[str, str]
    dataset: BaseDataset | None = None  # of the training images
    trained: tuple[Tensor, Tensor] | None = None  # positives and AP (C,)


def train(args: argparse.Namespace, console: Console) -> Made:
    """A model from labels."""
    cfg = config_of(args)
    pipeline = cfg.test_dataloader.dataset.pipeline
    data = make.data_config(args.labels, args.images, split=args.split)
    dataset = DATASETS.build(dict(data, pipeline=pipeline))
    classes = dataset.metainfo['classes']
    cfg.test_dataloader.dataset = dict(data, classes=[*classes], pipeline=pipeline)
    cfg.test_evaluator = dict(type='mmmlc.MultiLabelMetric', threshold='pred_label')
    make.linear_model(cfg, len(classes), args.regions)
    torch.manual_seed(args.seed)  # of what has no trained weights
    model = make.build_network(cfg, args.checkpoint, args.device)
    stored, features = make.features_of(model, cfg, dataset, args.work_dir, console)
    labels = make.labels_of(stored)
    name_rare_classes(labels, classes, console)
    folds = linear.divide(labels, stored.images, seed=args.seed)
    with progress(console) as bars:
        bar = bars.add_task('classifiers', total=linear.FOLDS + 1)
        found = linear.cross_validate(features, labels, folds, advance=lambda: bars.advance(bar))
        scores = found.logits.sigmoid()
        if args.regions:
            bar = bars.add_task('images and regions', total=len(scores))
            count = lambda number: bars.advance(bar, number)  # noqa: E731 - of this bar
            scores = make.unseen_scores(model, dataset, cfg, found, count)
    make.put_in(model, found.final)
    model.head.thresholds = linear.choose_thresholds(scores, labels).float()
    aps = average_precision(scores, *labels)
    numbers = training_rows(scores, labels, found)
    network = cfg.model.backbone.get('model_name') or cfg.model.backbone.type
    network += '' if args.config else ', trained on ImageNet and frozen,'
    text = linear_words(network, classes, labels, args.regions)
    return Made(cfg, model.state_dict(), classes, text, numbers, dataset, (labels.counts, aps))


def config_of(args: argparse.Namespace) -> Config:
    """The network, its input, and how images are read."""
    cfg = load_config(args.config) if args.config else make.default_config(args.backbone, args.size)
    cfg.test_dataloader.num_workers = args.workers
    cfg.test_dataloader.persistent_workers = False
    return cfg


def name_rare_classes(labels: linear.Labels, classes: Sequence[str], console: Console) -> None:
    """Say which classes can't be trained, and which can't be measured."""
    pairs = [(safe_line(name), n) for name, n in zip(classes, labels.counts.tolist(), strict=True)]
    none = [name for name, n in pairs if n == 0]
    few = [name for name, n in pairs if 0 < n < linear.FEWEST]
    texts = {
        'in no image, so never predicted': none,
        f'in fewer than {linear.FEWEST} images, so not measured, with one threshold for all': few,
    }
    for text, names in texts.items():
        if names:
            console.print(f'{text}: {listed(names)}', soft_wrap=True, markup=False)


def export(args: argparse.Namespace) -> Made:
    """A trained model as it is."""
    cfg = config_of(args)
    checkpoint = load_checkpoint_file(args.checkpoint)
    classes = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
    if not classes:
        raise ValueError(
            f'{args.checkpoint} names no classes, expected meta.dataset_meta.classes as mmengine '
            'writes it'
        )
    if cfg.model.head.get('num_classes', 0) is None:
        cfg.model.head.num_classes = len(classes)
    source = f'{safe_line(args.config)} and {safe_line(Path(args.checkpoint).name)}'
    text = f'Names which of {len(classes)} classes a photograph shows. From {source}.'
    return Made(cfg, checkpoint.get('state_dict', checkpoint), classes, text, {})


def write(args: argparse.Namespace, made: Made, console: Console) -> None:
    """Write the folder, with what is measured on the model as it will be read."""
    cfg, val = made.cfg, None
    if args.val is not None:
        data = make.data_config(args.val, args.images, made.classes, args.val_split)
        pipeline = cfg.test_dataloader.dataset.pipeline
        cfg.test_dataloader.dataset = dict(data, pipeline=pipeline)
    with new_folder(args.out, args.force) as part:
        write_model(part, str(args.out), cfg, made.state, made.classes, args.half)
        model = get_model(part, args.device)
        images = image_paths(made.dataset) if made.dataset is not None else []
        if args.val is not None:
            dataset = DATASETS.build(cfg.test_dataloader.dataset)
            images = images or image_paths(dataset)
            with progress(console) as bars:
                bar = bars.add_task(args.val.name, total=len(dataset))
                val = evaluate(model, dataset, cfg, lambda number: bars.advance(bar, number))
            made.numbers.update(rows_of(val, args.val.name))
        made.numbers.update(cost_of(get_model(part), part, images))
        table = class_table(made.classes, model.thresholds, made.trained, val)
        files = write_others(args, part, made, table)
        card = Card(args.out.name, made.what, made.numbers, table, args.command, files, args.about)
        (part / CARD).write_text(card.text(), encoding='utf-8')


def write_others(args: argparse.Namespace, part: Path, made: Made, table: list) -> list[str]:
    """Write the files that not every model has; their names."""
    write_csv(part / 'classes.csv', table)
    if made.dataset is not None:
        write_csv(part / 'photographs.csv', photographs(made.dataset))
    for name, text in {'about.md': args.about, 'LICENSE': args.licence}.items():
        if text:
            (part / name).write_text(text, encoding='utf-8')
    return sorted(path.name for path in part.iterdir() if path.name in FILES)


def progress(console: Console) -> Progress:
    """Bars that look alike."""
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def main(arguments: list[str] | None = None) -> None:
    """Train or take over, measure, and write the folder."""
    args = parse_args(arguments)
    use_strict_loaders(args.trust)
    check_free(args.out, args.force)
    # Now, as they may lie in the folder that is replaced.
    args.about = args.about.read_text(encoding='utf-8') if args.about else ''
    args.licence = args.licence.read_text(encoding='utf-8') if args.licence else ''
    console = Console()
    made = export(args) if args.labels is None else train(args, console)
    write(args, made, console)
    for name, value in made.numbers.items():
        console.print(f'{name}: {value}', soft_wrap=True, markup=False)
    console.print(f'Written to {args.out}; its card is {args.out / CARD}', soft_wrap=True)


if __name__ == '__main__':
    main()
