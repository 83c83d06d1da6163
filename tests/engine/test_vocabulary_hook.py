"""Before training: classes without images are warned of, images without classes refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mmmlc.datasets import OwnLabels, vocabulary
from mmmlc.engine.hooks.vocabulary import VocabularyHook
from mmmlc.evaluation import MultiLabelMetric


@pytest.fixture
def said(monkeypatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr(vocabulary, 'warn', messages.append)
    monkeypatch.setattr(vocabulary, '_warned', set())
    return messages


def run(train, val=None, metrics=()) -> None:
    runner = SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=train),
        val_dataloader=SimpleNamespace(dataset=val),
        val_loop=None
        if val is None
        else SimpleNamespace(evaluator=SimpleNamespace(metrics=metrics)),
        model=SimpleNamespace(head=SimpleNamespace(num_classes=3)),
    )
    VocabularyHook().before_train(runner)


def dataset(tmp_path, *rows: str, **options) -> OwnLabels:
    path = tmp_path / f'{len(list(tmp_path.iterdir()))}.csv'
    path.write_text('\n'.join(['path,a,b,c', *(f'{i},{row}' for i, row in enumerate(rows))]))
    return OwnLabels(str(path), **options)


def test_nothing_to_learn(tmp_path, said):
    with pytest.raises(
        ValueError, match='train_dataloader.dataset: train: none of its 2 images has'
    ):
        run(dataset(tmp_path, '0,0,0', '?,0,0'))
    run(dataset(tmp_path, '1,1,1'))
    assert not said


def test_nothing_to_evaluate(tmp_path, said):
    """Before the training, not after its first epoch; other metrics may do without labels."""
    train, val = dataset(tmp_path, '1,1,1'), dataset(tmp_path, '0,0,0')
    with pytest.raises(ValueError, match='val_dataloader.dataset: val: none of its 1 images has'):
        run(train, val, metrics=[MultiLabelMetric()])
    run(train, val)
    assert len(said) == 1


def test_missing_classes_are_said_once(tmp_path, said):
    train, val = dataset(tmp_path, '1,0,0'), dataset(tmp_path, '1,1,0')
    for _ in range(2):
        run(train, val)
    assert said == [
        "train_dataloader.dataset: train has no image of the class 'b', which val has",
        "train_dataloader.dataset: train has no image of the class 'c'",
        "val_dataloader.dataset: val has no image of the class 'c'",
    ]


def test_one_that_has_judged_itself_is_not_judged_again(tmp_path, said):
    path = tmp_path / 'a.csv'
    path.write_text('path,a,b,c,split\nx,1,0,0,train\ny,1,1,1,val\n')
    train = OwnLabels(str(path), split='train')
    before = list(said)
    assert len(before) == 1 and 'train has no image of 2 of 3 classes' in before[0]
    run(train)
    assert said == before


def test_others_are_left_alone(said):
    run(SimpleNamespace(metainfo={'classes': ('a', 'b', 'c')}))
    run(SimpleNamespace(metainfo={}))
    nothing = SimpleNamespace(metainfo={'classes': ('a', 'b', 'c')}, count_positives=lambda: None)
    run(nothing)
    full = SimpleNamespace(count_positives=lambda: np.ones(3), __len__=lambda: 3)
    full.metainfo = {}
    run(full)
    assert not said
