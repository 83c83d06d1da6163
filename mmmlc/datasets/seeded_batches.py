"""Random numbers for single samples, so that an image is augmented the same whoever loads it when.

Transforms draw from the global generators of Python, NumPy and torch. Here these are seeded anew
before each sample, from the seed of the training, the epoch and the sample's index. What comes out
depends neither on the number of workers or processes nor on what was drawn before, and a training
that goes on after an interruption sees the images that it would have seen.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch.utils.data import BatchSampler, DataLoader, get_worker_info


def derive_seed(*parts: object) -> int:
    """A number in [0, 2^64) that depends on all parts; other parts give an unrelated number."""
    digest = hashlib.blake2b('/'.join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'big')


def seed_cpu(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch's CPU with a number in [0, 2^64)."""
    random.seed(seed)
    np.random.seed((seed >> 32, seed & 0xFFFFFFFF))
    # Not torch.manual_seed: that also seeds every GPU, once for each sample.
    torch.default_generator.manual_seed(seed)


class SeededBatch:
    """Indices of one batch. Going through them seeds the generators for each in turn.

    The data loader takes one index after another and loads it, in a worker or in the main process,
    through whatever wraps the data set. The main process gets its generators back afterwards.
    """

    def __init__(self, indices: Sequence, seeds: Sequence[int]) -> None:
        self.indices = list(indices)
        self.seeds = list(seeds)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator:
        states = None if get_worker_info() else _cpu_states()
        try:
            for index, seed in zip(self.indices, self.seeds, strict=True):
                seed_cpu(seed)
                yield index
        finally:
            if states:
                _restore(states)


def _cpu_states() -> tuple:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _restore(states: tuple) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


class SeededBatches:
    """A batch sampler whose batches seed the generators for each sample.

    A sample's seed derives from the seed, the epoch, its index and, where an index comes more than
    once in an epoch (infinite samplers, sampling with replacement), the how-manieth time it is.
    Data sets that repeat others give each repetition an index of its own.

    Args:
        batches: Gives the batches of this process; attributes that are not found here are its own.
        size: Length of the data set.
        seed: The same in all processes.

    Attributes:
        epoch: Of samplers that don't count epochs themselves.
        skip_batches: Batches that the next pass leaves out: those that have been trained on.
    """

    def __init__(self, batches: BatchSampler, size: int, seed: int) -> None:
        self.batches = batches
        self.size = size
        self.seed = seed
        self.epoch = 0
        self.skip_batches = 0
        self._start = 0  # samples of this process that the sampler has left out
        if hasattr(self._sampler, 'skip'):
            self._follow(self._sampler)

    def __getattr__(self, name: str) -> Any:
        if name == 'batches':  # while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.batches, name)

    @property
    def _sampler(self) -> Any:
        return getattr(self.batches, 'sampler', None)

    def _follow(self, sampler: Any) -> None:
        """Learn where a sampler begins that mmengine's loop lets skip what was trained on."""
        skip = sampler.skip

        def skip_and_tell(num_samples: int) -> None:
            skip(num_samples)
            self._start = num_samples

        sampler.skip = skip_and_tell

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[SeededBatch]:
        epoch = getattr(self._sampler, 'epoch', self.epoch)
        skipped, self.skip_batches = self.skip_batches, 0
        position, self._start = self._start, 0
        rank, world_size = get_dist_info()
        current = None
        seen: Counter = Counter()
        for number, batch in enumerate(self.batches):
            seeds = []
            for index in batch:
                # mmengine's samplers deal out one sequence to the processes by turns.
                turn = (position * world_size + rank) // self.size
                position += 1
                if turn != current:
                    current = turn
                    seen.clear()
                seeds.append(derive_seed(self.seed, epoch, index, turn, seen[index]))
                seen[index] += 1
            if number >= skipped:
                yield SeededBatch(batch, seeds)
        self.epoch = epoch + 1


def seed_batches(loader: DataLoader, seed: int) -> SeededBatches | None:
    """Let a data loader seed the generators for each sample; None if it makes no batches.

    Args:
        loader: Changed in place, before it is first iterated.
        seed: The same in all processes.
    """
    batches: Any = loader.batch_sampler
    if batches is None:
        return None
    if isinstance(batches, SeededBatches):
        batches.seed = seed
        return batches
    dataset: Any = loader.dataset
    seeded = SeededBatches(batches, len(dataset), seed)
    # A data loader refuses other batches once it is made.
    object.__setattr__(loader, 'batch_sampler', seeded)
    return seeded
