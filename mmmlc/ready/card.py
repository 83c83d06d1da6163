"""The card of a model that is ready, and the list of the photographs that it was trained on.

C: classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmpretrain.datasets.base_dataset import BaseDataset
from torch import Tensor

from mmmlc.datasets.text_files import read_json
from mmmlc.neutral import safe_line
from mmmlc.ops.score_accumulator import Evaluation

from .folder import CONFIG, WEIGHTS
from .linear import FEWEST, Labels

UNMEASURED = 'not measured'
FILES = {
    'classes.csv': 'the table of classes',
    'photographs.csv': 'the images that it was trained on',
    'LICENSE': 'the terms of its use',
    'about.md': 'what its maker says, which is above, too',
}


@dataclass(frozen=True)
class Card:
    """What a card says."""

    name: str
    what: str  # sentences on network, input and training
    numbers: dict[str, str]
    classes: list[list[Any]]  # of class_table
    command: str  # that made it
    files: Sequence[str]  # of FILES
    about: str = ''  # Markdown of whoever made it

    def text(self) -> str:
        """The card as Markdown."""
        head, *lines = self.classes
        others = (f' `{name}`: {FILES[name]}.' for name in self.files)
        parts = [
            f'# {safe_line(self.name)}',
            self.what,
            f'```python\nimport mmmlc\n\nmodel = mmmlc.get_model({self.name!r})\n'
            "(found,) = model.predict(['photo.jpg'])\n"
            'print(found.labels, found.scores, found.regions)\n```',
            self.about.strip(),
            '## Measured',
            _table(['what', 'value'], [[*row] for row in self.numbers.items()]),
            '## Classes',
            f'AP in percent. That of a class with fewer than {FEWEST} positives is {UNMEASURED}, '
            'and such classes share one threshold.',
            _table(head, lines),
            '## Made by',
            f'```bash\n{self.command}\n```',
            f'`{CONFIG}` is a config for `tools/test.py`. `{WEIGHTS}` has weights, names of the '
            f'classes and thresholds.{"".join(others)}',
        ]
        return '\n\n'.join(part for part in parts if part) + '\n'


def class_table(
    names: Sequence[str],
    thresholds: Tensor,
    trained: tuple[Tensor, Tensor] | None = None,
    val: Evaluation | None = None,
) -> list[list[Any]]:
    """A header and a line for each class.

    Args:
        names: C.
        thresholds: (C,).
        trained: Positives among the training images (C,), and the average precision (C,) on them of
            models that did not see them, in [0, 1].
        val: Measures on other images.
    """
    columns: dict[str, Sequence[Any]] = {'class': names}
    if trained is not None:
        columns |= {'positives': trained[0].tolist(), 'AP': _measured(trained[1], trained[0])}
    if val is not None:
        positives = val.positives
        columns |= {'val positives': positives.tolist(), 'val AP': _measured(val.ap, positives)}
    columns['threshold'] = [f'{value:.3f}' for value in thresholds.tolist()]
    return [[*columns], *map(list, zip(*columns.values(), strict=True))]


def _measured(ap: Tensor, positives: Tensor) -> list[str]:
    pairs = zip(ap.tolist(), positives.tolist(), strict=True)
    return [f'{100 * value:.1f}' if number >= FEWEST else UNMEASURED for value, number in pairs]


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    cells = ([safe_line(cell).replace('|', r'\|') for cell in line] for line in lines)
    return '\n'.join(f'| {" | ".join(line)} |' for line in cells)


def linear_words(network: str, classes: Sequence[str], labels: Labels, regions: int = 0) -> str:
    """What a model of :mod:`mmmlc.ready.linear` is, in Markdown.

    Args:
        network: What it stands on.
        classes: Names.
        labels: Of the training images.
        regions: That it looks at in an image.
    """
    images = len(labels.positive)
    text = (
        f'Names which of {len(classes)} classes a photograph shows. {network} and a logistic '
        f'regression per class on its pooled map, trained on {images:,} images and their mirror '
        'images.'
    )
    if regions:
        text += (
            f' It looks at the whole image, then at {regions} regions that its likeliest classes '
            'point to (MCAR); a score is the highest of them.'
        )
    text += ' The thresholds are those of the highest F1 on images that the classifier did not see.'
    if often := frequent(classes, labels.counts, images):
        text += f'\n\nIn more than half of the training images: {often}.'
    return text


def frequent(names: Sequence[str], counts: Tensor, images: int) -> str:
    """The classes in more than half of the images, with their share; '' if there are none.

    Examples:
        >>> import torch
        >>> frequent(['cat', 'dog'], torch.tensor([3, 9]), 10)
        'dog (90 %)'
    """
    found = [(n, name) for n, name in zip(counts.tolist(), names, strict=True) if 2 * n > images]
    shares = (f'{safe_line(name)} ({100 * n / images:.0f} %)' for n, name in sorted(found)[::-1])
    return ', '.join(shares)


def photographs(dataset: BaseDataset) -> list[list[Any]]:
    """A header and a line for each image: name, and what COCO's JSON has of licence and address."""
    licences: dict[Any, dict] = {}
    records: dict[Any, dict] = {}
    if dataset.source.lower().endswith('.json'):
        content = read_json(dataset.source)
        licences = {one.get('id'): one for one in content.get('licenses') or []}
        records = {one['id']: one for one in content['images']}
    lines: list[list[Any]] = [['image', 'licence', 'licence_url', 'address']]
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        record = records.get(info.get('img_id'), {})
        licence = licences.get(record.get('license'), {})
        address = record.get('coco_url') or record.get('flickr_url') or ''
        name = record.get('file_name') or Path(info['img_path']).name
        lines.append([name, licence.get('name', ''), licence.get('url', ''), address])
    return lines
