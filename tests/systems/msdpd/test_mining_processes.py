"""Mining and first classifiers with two processes: one clusters, all end up with the same."""

from __future__ import annotations

import pytest
import torch
from mining_lab import Identity, images
from mmpretrain.structures import DataSample

from mmmlc.systems.msdpd.classifiers import ImageFeatures, fit_classifiers
from mmmlc.systems.msdpd.mine import mine_parts, share_parts
from mmmlc.systems.msdpd.mined_file import load_mined

pytestmark = pytest.mark.slow


class Batches(list):
    """Of one process; ``dataset`` has the images of both."""

    dataset = range(40)


def in_process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f'file://{folder}/store'
    torch.distributed.init_process_group('gloo', store, rank=rank, world_size=2)
    torch.manual_seed(rank)
    model = Identity()
    maps, classes = images(rank)
    samples = [
        DataSample(metainfo=dict(img_path=f'{rank}_{i}.png')).set_gt_label([int(c)])
        for i, c in enumerate(classes)
    ]
    loader = Batches([dict(inputs=maps, data_samples=samples)])
    scales = mine_parts(model, loader, (8,), 640, path=f'{folder}/parts.npz', min_size=3)
    assert (scales is None) == (rank == 1)
    share_parts(model.head, scales)
    with torch.no_grad():
        found = ImageFeatures(*_described(model, maps, samples))
    fit_classifiers(model.head, found, steps=200)
    torch.save((model.head.state_dict(), found), f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


def _described(model: Identity, maps: torch.Tensor, samples: list[DataSample]):
    features, targets, valid = model.head.describe((maps,), samples)
    return tuple(features), targets, valid


def test_the_error_names_the_scale():
    maps, classes = images(0)
    samples = [
        DataSample(metainfo=dict(img_path=f'{i}.png')).set_gt_label([int(c)])
        for i, c in enumerate(classes)
    ]
    loader = Batches([dict(inputs=maps, data_samples=samples)])
    with pytest.raises(ValueError, match='scale 1, 8 clusters: no cluster has min_size=999'):
        mine_parts(Identity(), loader, (8,), 640, min_size=999)


def test_two_processes_agree(tmp_path):
    torch.multiprocessing.spawn(in_process, (str(tmp_path),), nprocs=2)
    results = [torch.load(tmp_path / f'{rank}.pt', weights_only=False) for rank in range(2)]
    (first, mine), (second, theirs) = results
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=0, atol=0, msg=name)
    (scale,), names, _ = load_mined(tmp_path / 'parts.npz')
    assert len(names) == 40 and len(scale.assignments) == 40 * 16
    # Points of the second process kept their images.
    row = int((scale.images == 25).nonzero()[0])
    maps, _ = images(1)
    point = maps[5].flatten(1)[:, scale.locations[row]]
    centre = scale.centres[scale.assignments[row]]
    torch.testing.assert_close((point - centre).norm(), scale.distances[row])
    # The classifiers are those of all images together.
    joined = ImageFeatures(
        tuple(torch.cat(pair) for pair in zip(mine.features, theirs.features, strict=True)),
        torch.cat((mine.targets, theirs.targets)),
        torch.cat((mine.valid, theirs.valid)),
    )
    alone = Identity().head
    fit_classifiers(alone, joined, steps=200)
    torch.testing.assert_close(first['fusion.weight'], alone.fusion.weight, rtol=0, atol=0.02)
