from __future__ import annotations

import pytest
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import Runner

from mmmlc.datasets import samplers
from mmmlc.datasets.samplers import TotalBatchSampler


def _as_rank(monkeypatch, rank: int, world_size: int) -> None:
    """Let this process believe that it is one of several."""
    monkeypatch.setattr(samplers, 'get_world_size', lambda: world_size)
    monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, world_size))
    monkeypatch.setattr('mmengine.dataset.sampler.sync_random_seed', lambda: 0)


def test_two_ranks_share_the_batches_of_one_process(monkeypatch):
    alone = list(TotalBatchSampler(DefaultSampler(range(37), shuffle=True, seed=3), 8))
    assert [len(batch) for batch in alone] == [8, 8, 8, 8, 5]

    ranks = []
    for rank in range(2):
        _as_rank(monkeypatch, rank, 2)
        ranks.append(list(TotalBatchSampler(DefaultSampler(range(37), shuffle=True, seed=3), 8)))
    assert [len(batch) for batch in ranks[0]] == [4, 4, 4, 4, 3]
    for one, *both in zip(alone[:4], *ranks, strict=False):
        assert set(one) == set(both[0]) | set(both[1])


def test_error_names_batch_size_and_world_size(monkeypatch):
    _as_rank(monkeypatch, 0, 3)
    with pytest.raises(ValueError, match='batch_size=16 .* world size 3'):
        TotalBatchSampler(range(48), 16)
    _as_rank(monkeypatch, 0, 32)
    with pytest.raises(ValueError, match='batch_size=16 .* world size 32'):
        TotalBatchSampler(range(48), 16)


def test_drop_last():
    assert [len(batch) for batch in TotalBatchSampler(range(10), 4, drop_last=True)] == [4, 4]


@pytest.mark.parametrize('world_size', [1, 4])
def test_runner_builds_it(monkeypatch, world_size):
    """As in a config: mmengine passes the sampler and the dataloader's batch_size."""
    _as_rank(monkeypatch, 0, world_size)
    config = {
        'batch_size': 8,
        'num_workers': 0,
        'dataset': list(range(32)),
        'sampler': {'type': 'mmengine.DefaultSampler', 'shuffle': False},
        'batch_sampler': {'type': 'mmmlc.TotalBatchSampler'},
        'collate_fn': {'type': 'default_collate'},
    }
    loader = Runner.build_dataloader(config, seed=0)
    assert [len(batch) for batch in loader] == [8 // world_size] * 4
    # mmengine's DistSamplerSeedHook reshuffles through this attribute.
    assert isinstance(loader.batch_sampler.sampler, DefaultSampler)
    assert DATA_SAMPLERS.get('mmmlc.TotalBatchSampler') is TotalBatchSampler
