"""Your own labels, from a CSV file, a table with a column per class, or JSON lines.

N: images, C: classes, P: (image, class) pairs.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmpretrain.datasets.base_dataset import BaseDataset, expanduser

from mmmlc.neutral import safe_line
from mmmlc.registry import DATASETS

from .coco import paused_gc
from .label_files import read_class_names, read_labels
from .label_rows import LabelRows, Names
from .label_table import LabelTable, Ragged, first_of_path, move_keys, pair_keys, rows_of_pairs
from .multilabel import MultiLabelMixin, _require
from .own_paths import check_paths, path_keys, warn_of_twins
from .own_splits import (
    SPLIT_BY,
    Division,
    check_group_column,
    checked_shares,
    split_rows,
    warn_of_shares,
    warn_of_splits,
)
from .vocabulary import Doubt, check_vocabulary, checked_classes, hint_of_separator


@DATASETS.register_module()
class OwnLabels(MultiLabelMixin, BaseDataset):
    """Images and labels of a CSV file, a table with a column per class, or a JSON lines file.

    Three layouts, told apart by the ending of the file and its header::

        path,labels              path,cat,dog        {"path": "a.jpg", "labels": ["cat", "dog"]}
        a.jpg,cat;dog            a.jpg,1,1           {"path": "b.jpg", "labels": []}
        b.jpg,                   b.jpg,0,?

    - An image without labels is one where every class is absent.
    - Unknown are the classes in the column (field) ``unknown``, and the cells '', '?' and -1 of a
      table: they go to ``gt_label_ignore``, which losses and metrics leave out.
    - Without ``classes`` the vocabulary is that of the whole file, whatever the split.
    - ``split`` takes the rows with this value in the column ``split``. Without such a column the
      images are divided at random by their path: the same in every run, and for images that are
      added later. ``split_by='stratified'`` gives every split its share of every class
      (:func:`~mmmlc.datasets.divide.stratify`); images that are added move others then. Images
      with the same value in the column ``group`` go to one split.
    - Relative paths are looked for in ``data_prefix['img_path']``, or ``data_root``, or without
      both in the folder of the file. ``./a.jpg``, ``x/../a.jpg`` and ``.\\a.jpg`` are ``a.jpg``.
    - A vocabulary that is taken from the file is questioned: ``nan``, ``Cat`` beside ``cat``,
      ``['cat', 'dog']`` and lists with another separator are errors, what may be intended is warned
      of. ``classes`` overrules that.

    Args:
        ann_file: ``.csv``, ``.tsv``, ``.txt`` (comma, semicolon or tab) or ``.jsonl``, in UTF-8.
        classes: names, or a text file with one per line, relative to ``data_root``.
        split: ``'train'``, ``'val'`` ...; None takes all rows.
        shares: of the splits, by name, where the file has no column ``split``; sum to 1. By
            default 0.7 train, 0.15 val and 0.15 test.
        split_by: where the file has no column ``split``: ``'path'`` or ``'stratified'``.
        seed: of ``'stratified'``.
        path_column: name of the column or field; so are the next four.
        label_column: list of the labels; a table has none.
        unknown_column: list of the classes that are not known.
        split_column: which split the image belongs to.
        group_column: images of one scene or one patient, which stay together; ``''`` for none. By
            default ``'group'``.
        separator: between the labels of a list in CSV.
        rename: other names for labels or columns of the file, ``{'Cat': 'cat', 'nan': None}``; None
            leaves a label out. Comes before ``classes``.
        class_order: of a vocabulary taken from the file: ``'name'`` (alphabetical) or ``'file'``
            (order of the columns, or of appearance). By default ``'file'`` for a table with a
            column per class, otherwise ``'name'``.
        repeated: an image in several rows is an ``'error'``, or ``'merge'`` takes it once, with the
            labels of all its rows (present before unknown before absent).
        other_classes: a label that is not in ``classes`` is an ``'error'``, or ``'drop'`` leaves it
            out. A table's columns that are not in ``classes`` are never read.
        **kwargs: of :class:`MultiLabelMixin` (``outside``, ``max_refetch``, ``lazy_init``) and
            mmpretrain's ``BaseDataset`` (``data_root``, ``data_prefix``, ``pipeline`` ...).
            ``serialize_data`` changes nothing: workers share the table in any case.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: something wrong in the file; names file, line and value.
    """

    entry_name = 'line'
    splits_judged = False  # whether it has warned of classes without images by itself

    def __init__(
        self,
        ann_file: str,
        *args: Any,
        classes: Sequence[str] | str | None = None,
        split: str | None = None,
        shares: Mapping[str, float] | None = None,
        path_column: str = 'path',
        label_column: str = 'labels',
        unknown_column: str = 'unknown',
        split_column: str = 'split',
        group_column: str | None = None,
        separator: str = ';',
        split_by: str = 'path',
        seed: int = 0,
        rename: Mapping[str, str | None] | None = None,
        class_order: str | None = None,
        repeated: str = 'error',
        other_classes: str = 'error',
        **kwargs: Any,
    ) -> None:
        for key, value, choices in (
            ('class_order', class_order, (None, 'name', 'file')),
            ('repeated', repeated, ('error', 'merge')),
            ('other_classes', other_classes, ('error', 'drop')),
            ('split_by', split_by, SPLIT_BY),
        ):
            if value not in choices:
                raise ValueError(f'{key}={value!r}, expected one of {choices}')
        if not separator:
            raise ValueError("separator='', expected the text between two labels")
        if class_order and classes is not None:
            raise ValueError(f'class_order={class_order!r} and classes=... exclude each other')
        self.group_given = group_column is not None
        group_column = 'group' if group_column is None else group_column
        columns = (path_column, label_column, unknown_column, split_column, group_column)
        self.names = Names(*columns, separator, _checked_rename(rename))
        self.split, self.shares = split, checked_shares(shares)
        self.division = Division(self.shares, split_by, seed)
        self.class_order, self.repeated, self.other_classes = class_order, repeated, other_classes
        kwargs.pop('serialize_data', None)
        if isinstance(classes, str):
            classes = _classes_of_file(classes, kwargs.get('data_root'))
        super().__init__(
            ann_file, *args, classes=classes, with_boxes=False, serialize_data=False, **kwargs
        )

    def load_data_list(self) -> LabelTable:
        """Read the file into a table, which is a sequence of one dict per image."""
        given = self._metainfo.get('classes')
        with paused_gc():
            rows = read_labels(self.ann_file, self.names, given)
        check_group_column(self.ann_file, self.names, rows, self.group_given)
        prefix = self.img_prefix or os.path.dirname(self.ann_file)
        check_paths(self.ann_file, rows, self.image_folder(prefix))
        classes = self._vocabulary(rows, given)
        table, notes = self._table(rows, classes, prefix)
        self._metainfo['classes'] = tuple(classes)
        if self.split is not None:
            chosen = self._chosen(rows, table, classes)
            notes.append(f'{len(chosen):,} of {len(table):,} are {self.split!r}')
            table = table.take(chosen)
        self._log(table, classes, rows, notes)
        return table

    def _vocabulary(self, rows: LabelRows, given: Sequence[str] | None) -> list[str]:
        if given is None and not rows.classes:
            raise ValueError(f'{self.ann_file} names no classes: give classes=[...]')
        if given is None:
            names = list(dict.fromkeys(rows.classes))
            self._question(rows, names)
            in_order = self.class_order or ('file' if rows.one_hot else 'name')
            return sorted(names) if in_order == 'name' else names
        return checked_classes(given)

    def _question(self, rows: LabelRows, names: list[str]) -> None:
        in_texts = not rows.one_hot and not self.ann_file.lower().endswith(('.jsonl', '.ndjson'))
        # Pairs are in the order of the rows.
        joined = bool((np.diff(rows.positive[0]) == 0).any())
        check_vocabulary(
            names,
            lambda name: f'{self.ann_file}: {rows.line_of_class(name)}',
            self._remedy,
            self.names.separator if in_texts else None,
            joined,
        )

    def _remedy(self, doubt: Doubt) -> str:
        first, last = doubt.names[0], doubt.names[-1]
        overruled = 'classes=[...] says which classes there are'
        if doubt.kind == 'separator':
            return f'Give separator={doubt.value!r} if it does; {overruled}'
        if doubt.kind == 'list':
            return (
                "Write 'cat;dog', in pandas by table['labels'].str.join(';'), or JSON lines; "
                f'{overruled}'
            )
        other = None if first == last or doubt.kind != 'twins' else last
        return f'Give rename={{{first!r}: {other!r}}} of the dataset, or mend the file; {overruled}'

    def _table(
        self, rows: LabelRows, classes: list[str], prefix: str
    ) -> tuple[LabelTable, list[str]]:
        """Return the table of all splits, and what to tell about it."""
        index = {name: label for label, name in enumerate(classes)}
        label_of = np.array([index.get(name, -1) for name in rows.classes], dtype=np.int64)
        if (label_of < 0).any() and self.other_classes == 'error':
            self._refuse_class(rows, label_of, classes)
        positive, twice = pair_keys(rows.positive, label_of, len(classes))
        unknown, _ = pair_keys(rows.unknown, label_of, len(classes))
        if len(set(rows.classes)) < len(rows.classes):  # columns renamed to one: present wins
            unknown = np.setdiff1d(unknown, positive, assume_unique=True)
        if len(both := np.intersect1d(positive, unknown, assume_unique=True)):
            row, label = divmod(int(both[0]), len(classes))
            where = f'{self.ann_file}: line {rows.lines[row]} ({safe_line(rows.paths.text(row))})'
            raise ValueError(f'{where} gives {classes[label]!r} as a label and as unknown')
        dropped = sum(
            int((label_of[codes] < 0).sum()) for _, codes in (rows.positive, rows.unknown)
        )
        notes = [f'{twice:,} labels given twice count once'] if twice else []
        notes += [f'{dropped:,} labels of other classes left out'] if dropped else []

        first = self._first_rows(rows, prefix)
        kept = np.flatnonzero(first == np.arange(len(first)))
        if len(kept) < len(first):
            notes.append(f'{len(first) - len(kept):,} repeated rows merged')
            positive, unknown = (move_keys(k, first, len(classes)) for k in (positive, unknown))
            unknown = np.setdiff1d(unknown, positive, assume_unique=True)
        table = LabelTable(
            prefix,
            rows.paths,
            rows_of_pairs(positive, len(first), len(classes)),
            rows_of_pairs(unknown, len(first), len(classes)),
            rows.lines,
        )
        self.data_prefix['img_path'] = table.prefix  # errors of images name the folder
        return (table if len(kept) == len(first) else table.take(kept)), notes

    def _refuse_class(self, rows: LabelRows, label_of: np.ndarray, classes: list[str]) -> None:
        pairs = np.concatenate([rows.positive, rows.unknown], axis=1)
        pairs = pairs[:, label_of[pairs[1]] < 0]
        row, code = pairs[:, pairs[0].argmin()]
        name = rows.classes[code]
        near = difflib.get_close_matches(name, classes, 1)
        hint = f'did you mean {near[0]!r}?' if near else f'expected one of {classes[:20]}.'
        if near and not (near[0] + name).isascii():
            hint = f'did you mean {near[0]!r} ({ascii(near[0])} for {ascii(name)})?'
        if lists := hint_of_separator(name, classes, self.names.separator):
            hint = f'{lists}.'
        where = f'{self.ann_file}: line {rows.lines[row]} ({safe_line(rows.paths.text(row))})'
        raise ValueError(
            f'{where} has the class {name!r}, which is not in classes: {hint} '
            "other_classes='drop' leaves others out"
        )

    def _first_rows(self, rows: LabelRows, prefix: str) -> np.ndarray:
        """Return for each row the first with the same path, (N,); refuse repeats if asked to."""
        keys = path_keys(rows.paths, prefix)
        if keys is None:
            first = first_of_path(rows.hashes, rows.paths)
        else:
            hashes = np.array([hash(key) for key in keys], dtype=np.int64)
            first = first_of_path(hashes, Ragged.from_strings(keys))
        warn_of_twins(self.ann_file, rows, prefix)
        repeated = np.flatnonzero(first != np.arange(len(first)))
        if not len(repeated):
            return first
        splits = rows.splits
        others = (
            repeated if splits is None else repeated[splits[repeated] != splits[first[repeated]]]
        )
        if self.repeated == 'merge' and (splits is None or not len(others)):
            return first
        row = repeated[0] if self.repeated == 'error' else others[0]
        where = f'{self.ann_file}: line {rows.lines[row]} repeats the image '
        where += f'{rows.paths.text(row)!r} of line {rows.lines[first[row]]}'
        if self.repeated == 'merge':
            raise ValueError(f'{where} in another split')
        raise ValueError(
            f"{where} ({len(repeated):,} such rows in all); repeated='merge' takes an image once, "
            'with the labels of all its rows'
        )

    def _chosen(self, rows: LabelRows, table: LabelTable, classes: list[str]) -> np.ndarray:
        """Return the rows of the table that belong to the split."""
        if rows.splits is None and self.split not in self.shares:
            hint = "; stratified splits are split_by='stratified' with split='train' and so on"
            raise ValueError(
                f'{self.ann_file} has no column {self.names.split!r}, and split='
                f'{self.split!r} is not in shares={self.shares}'
                + hint
                * (self.split == 'stratified')
            )
        if rows.splits is not None and self.split not in rows.split_names:
            raise ValueError(
                f'{self.ann_file}: no row has {self.split!r} in the column {self.names.split!r}, '
                f'there are {rows.split_names}'
            )
        found, names = split_rows(
            self.ann_file, self.names, rows, table, len(classes), self.division
        )
        warn_of_splits(self.ann_file, table, found, names, classes)
        self.splits_judged = True
        if rows.splits is None and rows.groups is not None:
            warn_of_shares(self.ann_file, found, self.division)
        return np.flatnonzero(found == names.index(self.split or ''))

    def _log(
        self, table: LabelTable, classes: list[str], rows: LabelRows, notes: list[str]
    ) -> None:
        empty = int((table.labels.counts == 0).sum())
        message = f'{self.ann_file}: {len(table):,} images, {len(classes)} classes, '
        message += f'{table.labels.ends[-1] if len(table) else 0:,} labels'
        notes = [f'{empty:,} images without any label'] * bool(empty) + notes
        if len(table) and (count := table.unknown.ends[-1]):
            notes.append(f'{count:,} unknown labels')
        if rows.splits is not None and (count := int((rows.splits < 0).sum())):
            notes.append(f'{count:,} rows are in no split')
        if rows.splits is None and self.split is not None:
            by = 'stratified' if self.division.by == 'stratified' else 'split by path'
            notes.append(f'{by}, shares {self.shares}')
            if rows.groups is not None:
                notes.append(f'{len(rows.group_names):,} groups stay together')
        if rows.respelled:
            notes.append(f"{rows.respelled:,} paths with back-slashes, './' or '..' rewritten")
        if rows.unused:
            notes.append(
                f'columns not used: {", ".join(name or repr(name) for name in rows.unused)}'
            )
        print_log(safe_line('; '.join([message, *notes])), logger='current')

    def filter_data(self) -> LabelTable:
        """Check that something is left (mmengine calls this in full_init)."""
        self._check_split(self.data_list, self.CLASSES)
        self._remember_reports(int(self.data_list.entries.max()))
        return self.data_list

    def _get_unserialized_subset(self, indices: Sequence[int] | int) -> LabelTable:
        rows = np.arange(len(self.data_list))
        if not isinstance(indices, int):
            return self.data_list.take(rows[np.asarray(indices, dtype=np.int64)])
        return self.data_list.take(rows[:indices] if indices >= 0 else rows[indices:])

    def count_positives(self) -> np.ndarray:
        """Images with each class, (C,)."""
        self.full_init()
        return np.bincount(self.data_list.labels.values, minlength=len(self.CLASSES))

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of a sample (for mmengine's ``ClassBalancedDataset``)."""
        self.full_init()
        return self.data_list.labels[range(len(self))[idx]].tolist()


def _checked_rename(rename: Mapping[str, str | None] | None) -> dict[str, str | None]:
    rename = dict(rename or {})
    for old, new in rename.items():
        if not isinstance(old, str) or not (new is None or (isinstance(new, str) and new.strip())):
            raise ValueError(f'rename={rename}, expected names, or None to leave a label out')
    return rename


def _classes_of_file(path: str, data_root: str | None) -> list[str]:
    path = os.path.join(expanduser(data_root or ''), expanduser(path))
    _require(os.path.isfile, path, 'classes', 'file')
    if not (names := read_class_names(path)):
        raise ValueError(f'classes: {path} holds no name')
    return names
