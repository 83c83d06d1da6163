"""Pictures of part detectors: the right clusters, the right places, the right detectors."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mining_lab import Identity, planted
from mmpretrain.structures import DataSample
from PIL import Image

from mmmlc.systems.msdpd.clusters import mine_scale
from mmmlc.systems.msdpd.part_maps import GAP, LINE, SIDE, PartMap, draw_part_map, draw_part_maps
from mmmlc.systems.msdpd.part_pictures import part_grid, shown_clusters
from mmmlc.systems.msdpd.parts import Ranking
from mmmlc.systems.msdpd.picture_hook import PartPictureHook


def test_a_map_is_bright_where_it_is_high():
    values = np.zeros((4, 6))
    values[1, 4] = 0.2
    picture = np.asarray(draw_part_map(Image.new('RGB', (60, 40)), values).convert('L'), float)
    assert picture.shape == (SIDE, 1.5 * SIDE)
    y, x = np.unravel_index(picture.argmax(), picture.shape)
    assert abs(y / SIDE - 1.5 / 4) < 0.1 and abs(x / (1.5 * SIDE) - 4.5 / 6) < 0.1
    assert picture.max() > 100 > 5 > picture[-1, 0]


def test_maps_stand_beside_the_image():
    rows = [[PartMap(np.ones((2, 2)), 'a'), PartMap(np.eye(2), 'b')], [PartMap(np.eye(2), 'c')]]
    sheet = draw_part_maps(Image.new('RGB', (20, 20), (0, 0, 255)), rows, 'a long title ' * 5)
    assert sheet.size == (3 * (SIDE + GAP), 2 * (SIDE + 2 * LINE + GAP))
    assert sheet.getpixel((5, 5)) == (0, 0, 255)


def test_grid_shows_the_first_the_last_and_the_rejected():
    sampled, labels = planted()
    mined = mine_scale(sampled, labels, 3, 3, steps=0)
    entropy = torch.tensor([0.5, 0.1, 0.9, 0.3, 0.7, torch.inf, 0.0])
    sizes = torch.tensor([9, 9, 9, 9, 9, 9, 0])
    ranking = Ranking(torch.tensor([1, 3, 0]), entropy, torch.zeros(7, 4), sizes)
    assert shown_clusters(mined._replace(ranking=ranking), 9) == [1, 3, 0, 4, 2]
    assert shown_clusters(mined._replace(ranking=ranking), 3) == [1, 0, 2]


def test_grid_has_the_patches(tmp_path):
    sampled, labels = planted(20)
    mined = mine_scale(sampled, labels, 3, 3, min_size=3, steps=0)
    names = [str(tmp_path / f'{i}.png') for i in range(60)]
    for i, name in enumerate(names):
        Image.new('RGB', (8, 8), (255 if i < 20 else 0, 0, 255 if i >= 40 else 0)).save(name)
    classes = ('a', 'b', 'c', 'd')
    clusters = mined.ranking.order.tolist()
    sheet = part_grid(mined, names, torch.zeros(60).bool(), classes, clusters, patches=3)
    middle = np.asarray(sheet)[32::66, 160 + 32]
    assert middle.tolist() == [[255, 0, 0], [0, 0, 0], [0, 0, 255]]


def make_runner() -> SimpleNamespace:
    dataset = SimpleNamespace(metainfo=dict(classes=('cat', 'dog')))
    return SimpleNamespace(
        model=Identity().eval(), test_dataloader=SimpleNamespace(dataset=dataset)
    )


def test_hook_draws_as_many_as_asked_for(tmp_path):
    runner, hook = make_runner(), PartPictureHook(str(tmp_path / 'maps'), 3, detectors=2)
    hook.before_test(runner)
    for batch in range(2):
        samples = [
            DataSample(metainfo=dict(img_path=f'x/{batch}{i}.jpg', sample_idx=2 * batch + i))
            .set_pred_score(torch.tensor([0.2, 0.8]))
            .set_gt_label([0])
            for i in range(2)
        ]
        data = dict(inputs=100 * torch.rand(2, 3, 8, 8), data_samples=samples)
        hook.after_test_iter(runner, batch, data, samples)
    names = sorted(path.name for path in (tmp_path / 'maps').iterdir())
    assert names == ['000000_00.jpg', '000001_01.jpg', '000002_10.jpg']
    assert Image.open(tmp_path / 'maps' / names[0]).size[0] == 3 * (SIDE + GAP)


def test_detectors_that_add_most_are_shown():
    hook = PartPictureHook('maps', detectors=2)
    maps = torch.rand(4, 6)
    shown = hook._best(
        'scale1', maps, torch.tensor([1.0, 2, 3, 4]), torch.tensor([1.0, 2, -3, 0.5]), (2, 3)
    )
    assert [part.caption.split('\n')[0] for part in shown] == [
        'scale1 detector 1: +4.00',
        'scale1 detector 3: +2.00',
    ]
    np.testing.assert_array_equal(shown[0].values, maps[1].reshape(2, 3).numpy())


def test_wrong_options(tmp_path):
    with pytest.raises(ValueError, match='PartPictureHook.max_images is 0, expected at least 1'):
        PartPictureHook('maps', max_images=0)
    runner = make_runner()
    runner.model.head = torch.nn.Linear(1, 1)
    with pytest.raises(ValueError, match='model.head is Linear without part detectors'):
        PartPictureHook(str(tmp_path)).before_test(runner)
