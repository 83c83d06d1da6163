"""Augmentation as a function of seed, epoch and index."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch
from helpers.small_data import write_coco
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, InfiniteSampler, RepeatDataset
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, Dataset, RandomSampler

from mmmlc.datasets import seeded_batches
from mmmlc.datasets.multilabel import MultiLabelDataset
from mmmlc.datasets.seeded_batches import SeededBatch, SeededBatches, derive_seed, seed_batches

N = 11


class Draws(Dataset):
    """Gives an index and a number of each of the three generators, in turns many or few."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, index: int) -> tuple:
        for _ in range(index % 3):  # the next sample must not notice
            random.random(), np.random.rand(), torch.rand(5)
        return index, random.random(), np.random.rand(), float(torch.rand(()))


def loader(dataset=None, workers: int = 0, batch: int = 4, **options):
    config = dict(
        batch_size=batch,
        num_workers=workers,
        persistent_workers=workers > 0,
        dataset=dataset or Draws(),
        sampler=dict(type='mmengine.DefaultSampler', shuffle=True),
        collate_fn=dict(type=list),
    )
    made = Runner.build_dataloader(config | options, seed=5)
    seed_batches(made, seed=7)
    return made


def epoch_of(made, epoch: int) -> list[tuple]:
    made.batch_sampler.sampler.set_epoch(epoch)
    return [sample for batch in made for sample in batch]


def as_rank(monkeypatch, rank: int, world_size: int) -> None:
    for module in ('mmengine.dataset.sampler', seeded_batches.__name__):
        monkeypatch.setattr(f'{module}.get_dist_info', lambda: (rank, world_size))


@pytest.mark.parametrize('options', [{}, dict(batch_sampler=dict(type='mmmlc.TotalBatchSampler'))])
def test_any_number_of_workers_and_any_history(options):
    alone = loader(**options)
    expected = [epoch_of(alone, epoch) for epoch in range(3)]
    assert sorted(sample[0] for sample in expected[0]) == list(range(N))
    many = loader(workers=2, **options)
    assert [epoch_of(many, epoch) for epoch in range(3)] == expected
    fresh = loader(batch=3, **options)
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    assert epoch_of(fresh, 2) == expected[2]


def test_images_and_epochs_are_augmented_differently():
    made = loader()
    samples = [sample for epoch in range(3) for sample in epoch_of(made, epoch)]
    for numbers in zip(*(sample[1:] for sample in samples), strict=True):
        assert len(set(numbers)) == 3 * N
    other = loader()
    other.batch_sampler.seed = 8
    assert not {s[1] for s in epoch_of(other, 0)} & {s[1] for s in samples}


def test_same_images_for_any_number_of_processes(monkeypatch):
    alone = dict((s[0], s[1:]) for s in epoch_of(loader(), 1))
    for rank in range(2):
        as_rank(monkeypatch, rank, 2)
        part = epoch_of(loader(), 1)
        assert len(part) == 6  # of 11: one comes twice, on two processes
        once = part if rank == 0 else part[:-1]
        assert all(alone[index] == tuple(numbers) for index, *numbers in once)
    # The copy that fills up the last process is augmented by itself.
    assert alone[part[-1][0]] != part[-1][1:]


def test_repetitions_differ():
    for dataset in (RepeatDataset(_labelled(Draws()), 3), ConcatDataset([_labelled(Draws())] * 3)):
        found = epoch_of(loader(dataset), 0)
        assert len(found) == 3 * N and len({sample[1] for sample in found}) == 3 * N


class _labelled(MultiLabelDataset):
    """As one of ours, which wrappers take; without files."""

    def __init__(self, samples: Dataset) -> None:
        self.samples, self._metainfo = samples, {}

    def full_init(self) -> None: ...

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple:
        return self.samples[index]


@pytest.fixture
def photos(tmp_path, monkeypatch) -> dict:
    """Config of a data set with a broken image, balanced, with transforms of three libraries."""
    monkeypatch.setattr('mmmlc.datasets.multilabel.warn', lambda message: None)
    steps = [
        dict(type='mmmlc.RandomResizedCrop', scale=16),
        dict(type='mmmlc.RandomFlip', prob=0.5),
        dict(type='mmpretrain.ColorJitter', brightness=0.5, contrast=0.5, saturation=0.5),
        dict(type='mmpretrain.RandomErasing', erase_prob=0.5, mode='rand'),
        dict(type='mmmlc.PackInputs'),
    ]
    dataset = Config(
        dict(
            type='mmmlc.CocoMultiLabel',
            data_root=str(tmp_path),
            ann_file='a.json',
            data_prefix=dict(img_path='images'),
            pipeline=[dict(type='mmmlc.LoadImage'), *steps],
            with_boxes=False,
        )
    )
    write_coco(tmp_path, dataset, list('abcde'), images=8)
    (tmp_path / 'images/000003.png').write_bytes(b'')
    return dict(type='mmengine.ClassBalancedDataset', dataset=dataset.to_dict(), oversample_thr=1.0)


def test_broken_and_balanced_images(photos):
    """What is taken in place of a broken image, and of a rare class again and again."""

    def inputs(workers: int, history: int) -> list[torch.Tensor]:
        made = loader(photos, workers, collate_fn=dict(type='pseudo_collate'))
        for epoch in range(history):
            epoch_of_photos(made, epoch)
        return epoch_of_photos(made, 2)

    expected = inputs(0, 0)
    assert len(expected) > 8
    assert len({x.numpy().tobytes() for x in expected}) == len(expected)
    for workers, history in ((2, 0), (0, 2), (2, 2)):
        found = inputs(workers, history)
        assert all(torch.equal(x, y) for x, y in zip(expected, found, strict=True))


def epoch_of_photos(made, epoch: int) -> list[torch.Tensor]:
    made.batch_sampler.sampler.set_epoch(epoch)
    return [image for batch in made for image in batch['inputs']]


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_infinite_sampler_goes_on_anywhere(monkeypatch, world_size):
    options = dict(sampler=dict(type='mmengine.InfiniteSampler', shuffle=True))
    everything = []
    for rank in range(world_size):
        as_rank(monkeypatch, rank, world_size)
        whole = list(itertools.islice(iter(loader(**options)), 12))
        for done in (1, 5):
            resumed = loader(**options)
            resumed.sampler.skip(done * 4)  # as mmengine's loop does
            assert list(itertools.islice(iter(resumed), 12 - done)) == whole[done:]
        everything += [sample for batch in whole for sample in batch]
    assert len({sample[1] for sample in everything}) == 48 * world_size
    assert isinstance(loader(**options).sampler, InfiniteSampler)


def test_drawn_with_replacement():
    sampler = RandomSampler(range(4), replacement=True, num_samples=40)
    batches = SeededBatches(BatchSampler(sampler, 8, False), size=4, seed=0)
    seeds = [seed for batch in batches for seed in batch.seeds]
    assert len(set(seeds)) == 40


def test_rest_of_an_epoch():
    whole = loader()
    batches = list(whole)
    made = loader()
    made.batch_sampler.skip_batches = 2
    assert list(made) == batches[2:]
    assert list(made) == batches and len(made) == 3


def test_samplers_without_epochs():
    batches = SeededBatches(BatchSampler(range(N), 4, False), size=N, seed=0)
    first, second = ([batch.seeds for batch in batches] for _ in range(2))
    assert first != second
    batches.epoch = 1
    assert [batch.seeds for batch in batches] == second


def test_the_main_process_keeps_its_generators():
    def draw() -> tuple:
        return random.random(), np.random.rand(), float(torch.rand(()))

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = [draw(), draw()]
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    found = [draw()]
    batch = SeededBatch([3, 4], [10, 11])
    drawn = [(index, draw()) for index in batch]
    assert [*found, draw()] == expected
    assert drawn == [(index, draw()) for index in batch]
    with pytest.raises(KeyError):
        for _ in batch:
            raise KeyError
    assert len(batch) == 2


def test_seeds_are_spread_evenly():
    """Chi-square of 16 bins of 160,000 seeds; its 99.99% quantile for 15 is 44.3 (tables)."""
    seeds = [derive_seed(0, epoch, index) for epoch in range(16) for index in range(10_000)]
    assert len(set(seeds)) == len(seeds) and max(seeds) < 2**64
    for shift in (0, 28, 60):
        counts = np.bincount([seed >> shift & 15 for seed in seeds], minlength=16)
        assert ((counts - 10_000) ** 2 / 10_000).sum() < 44.3
    # First numbers of neighbours, as flips use them: 0.5 within five deviations.
    flips = [next(iter_first(seed)) < 0.5 for seed in seeds[:10_000]]
    assert abs(np.mean(flips) - 0.5) < 5 * 0.5 / 100


def iter_first(seed: int):
    for _ in SeededBatch([0], [seed]):
        yield np.random.rand()


def test_a_loader_without_batches_is_left_alone():
    made = torch.utils.data.DataLoader(Draws(), batch_size=None)
    assert seed_batches(made, 0) is None
    batched = loader()
    assert seed_batches(batched, 9) is batched.batch_sampler and batched.batch_sampler.seed == 9
