"""Train one-vs-rest linear SVMs on a network's features, and evaluate them (RDAL, Section 5.1).

    python tools/svm_eval.py CONFIG CHECKPOINT --views features --out svm/rdal-512
    python tools/svm_eval.py CONFIG CHECKPOINT --out svm/both --also svm/rdal-640

The features of the training and of the test images are kept under OUT/train and OUT/test. The same
command goes on after an interruption, and only trains the SVMs again once they are complete.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmmlc.dependencies import require_svm
from mmmlc.engine import RunOptions, build_runner, load_config, load_weights
from mmmlc.engine.command_line import add_config_options, add_trust
from mmmlc.engine.feature_files import Features, average_features, extract_features, open_features
from mmmlc.engine.prepare import VIEWS
from mmmlc.evaluation.svm import COSTS, ClassSVM, decide, fit_one_vs_rest, normalise
from mmmlc.models.features import image_features
from mmmlc.registry import DATASETS, METRICS


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='DIR', help='(work_dirs/<config name>/svm)')
    parser.add_argument('--views', choices=VIEWS, help='average over ten views, cut from these')
    parser.add_argument(
        '--also', nargs='+', default=[], metavar='DIR', help='average with the features of these'
    )
    parser.add_argument(
        '--costs', nargs='+', type=float, default=COSTS, metavar='C', help='candidates of C'
    )
    parser.add_argument('--folds', type=int, default=3, help='of the cross-validation (3)')
    parser.add_argument('--jobs', type=int, default=-1, help='classes at once (all cores)')
    parser.add_argument('--seed', type=int, default=0, help='of the folds and of LIBLINEAR (0)')
    parser.add_argument('--raw', action='store_true', help='features as they are, not of length 1')
    add_trust(parser)
    add_config_options(parser, 'model.head.feature=sampled')
    return parser.parse_args(arguments)


def build_datasets(cfg: Config, runner: Runner) -> dict[str, object]:
    """The training images, seen through the pipeline of the test, and the test images."""
    config = cfg.train_dataloader.dataset.copy()
    if 'pipeline' not in config:
        raise ValueError(
            f'train_dataloader.dataset is {config.type}, without a pipeline: expected the data set '
            'itself, without another around it'
        )
    # Unlike in training, a broken image must not be replaced by another one.
    config.update(pipeline=cfg.test_dataloader.dataset.pipeline, test_mode=True)
    return dict(train=DATASETS.build(config), test=runner.test_dataloader.dataset)


def fingerprint(checkpoint: str, cfg: Config, dataset: str) -> dict:
    """What the features depend on, in plain values."""
    digest = hashlib.sha256()
    with open(checkpoint, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    data = dict(cfg[f'{dataset}_dataloader'].dataset)
    data['pipeline'] = cfg.test_dataloader.dataset.pipeline
    parts = {'model': cfg.model, 'data': data}
    texts = {k: json.dumps(Config(dict(x=v)).to_dict(), default=str) for k, v in parts.items()}
    hashes = {k: hashlib.sha256(text.encode()).hexdigest()[:16] for k, text in texts.items()}
    return dict(checkpoint=digest.hexdigest()[:16], **hashes)


def collect_features(args: argparse.Namespace, cfg: Config, console: Console):
    """Features of both splits, averaged with those of ``--also``; and the test data set."""
    runner = build_runner(cfg, args.trust, RunOptions(test=True, views=args.views))
    load_weights(runner, args.checkpoint)
    datasets = build_datasets(cfg, runner)
    runner.call_hook('before_run')
    runner.call_hook('before_test')  # checks the classes
    classes = datasets['test'].metainfo['classes']
    if datasets['train'].metainfo['classes'] != classes:
        raise ValueError('train_dataloader.dataset and test_dataloader.dataset differ in classes')
    found = {}
    for name, dataset in datasets.items():
        folders = [Path(args.out) / name, *(Path(other) / name for other in args.also)]
        own = extract_features(
            runner.model,
            partial(image_features, runner.model),
            dataset,
            folders[0],
            fingerprint(args.checkpoint, cfg, name),
            len(classes),
            cfg.test_dataloader.batch_size,
            cfg.test_dataloader.num_workers,
            console,
        )
        parts = [own, *(open_features(folder) for folder in folders[1:])]
        found[name] = average_features(parts, folders)
    return found['train'], found['test'], datasets['test']


def train(args: argparse.Namespace, data: Features, console: Console) -> list[ClassSVM]:
    """One SVM per class, with a progress bar."""
    features = data.features if args.raw else normalise(data.features)
    columns = (TextColumn('SVMs'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task('classes', total=data.positive.shape[1])
        return fit_one_vs_rest(
            features,
            np.asarray(data.positive),
            np.asarray(data.ignored),
            args.costs,
            args.folds,
            args.jobs,
            args.seed,
            lambda: progress.advance(bar),
        )


def report(svms: list[ClassSVM], classes: list[str], console: Console) -> None:
    """Say which classes have no SVM, or none that LIBLINEAR finished."""
    missing = [name for name, svm in zip(classes, svms, strict=True) if svm.cost == 0]
    unfinished = [name for name, svm in zip(classes, svms, strict=True) if not svm.converged]
    if missing:
        console.print(f'not trained, for want of positives or negatives: {", ".join(missing)}')
    if unfinished:
        console.print(f'LIBLINEAR stopped before it converged: {", ".join(unfinished)}')


def evaluate(cfg: Config, scores: np.ndarray, data: Features, meta: dict, out: Path) -> dict:
    """The metrics of ``test_evaluator``; files into ``out``."""
    evaluators = (
        cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    )
    configs = [dict(e) for e in evaluators if e.type == 'mmmlc.MultiLabelMetric']
    config = configs[0] if configs else dict(type='mmmlc.MultiLabelMetric')
    config.pop('also', None)
    # A yes of the SVM is a distance above 0, that is, a sigmoid above 0.5.
    config.update(threshold=0.5, out_dir=str(out))
    metric = METRICS.build(config)
    metric.dataset_meta = meta
    rows = zip(scores, data.positive, data.difficult, data.ignored, data.images, strict=True)
    for score, positive, difficult, ignored, path in rows:
        sample = dict(
            pred_score=torch.from_numpy(score),
            gt_label=positive.nonzero()[0],
            gt_label_difficult=difficult.nonzero()[0],
            gt_label_ignore=ignored.nonzero()[0],
            img_path=path,
        )
        metric.process(None, [sample])
    return metric.evaluate(len(scores))


def main(arguments: list[str] | None = None) -> dict:
    """Extract, train, evaluate."""
    args = parse_args(arguments)
    require_svm()
    cfg = load_config(args.config, args.cfg_options)
    args.out = args.out or str(Path(cfg.work_dir) / 'svm')
    cfg.work_dir = args.out
    console = Console()
    train_data, test_data, dataset = collect_features(args, cfg, console)
    svms = train(args, train_data, console)
    report(svms, dataset.metainfo['classes'], console)
    features = test_data.features if args.raw else normalise(test_data.features)
    distances = decide(features, svms)
    np.savez(
        Path(args.out) / 'svm.npz',
        weight=np.stack([svm.weight for svm in svms]),
        bias=np.array([svm.bias for svm in svms]),
        cost=np.array([svm.cost for svm in svms]),
        distances=distances,
    )
    scores = torch.from_numpy(distances).sigmoid().numpy()
    metrics = evaluate(cfg, scores, test_data, dataset.metainfo, Path(args.out))
    console.print(
        f'mAP {metrics["mAP"]:.2f}, CF1 {metrics["CF1"]:.2f}, OF1 {metrics["OF1"]:.2f}; top 3: '
        f'CF1 {metrics["top3_thr_CF1"]:.2f}, OF1 {metrics["top3_thr_OF1"]:.2f}. Written to '
        f'{args.out}: summary.json, per_class.*, svm.npz',
        soft_wrap=True,
    )
    return metrics


if __name__ == '__main__':
    main()
