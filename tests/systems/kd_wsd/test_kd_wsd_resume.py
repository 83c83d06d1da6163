"""All three trainings of KD-WSD go on exactly where they were killed."""

from __future__ import annotations

import pytest
import torch
from helpers.resumes import kill_and_resume

from mmmlc.systems.kd_wsd.multi_scale import MultiScaleDataPreprocessor

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('training', ['teacher', 'kd-stage1', 'kd-stage2'])
def test_killed(tmp_path, training):
    kill_and_resume(f'kd_wsd/{training}_r18_toy.py', tmp_path)


def test_sizes_follow_from_a_shared_seed():
    """As the hook seeds them in every iteration, whatever was drawn before."""
    data = dict(inputs=torch.rand(1, 3, 8, 8))
    drawer = MultiScaleDataPreprocessor(scales=(4, 5, 6, 7, 8))

    def sizes(seeds) -> list[int]:
        found = []
        for seed in seeds:
            drawer.seed_draws(seed)
            found.append(drawer(data, training=True)['inputs'].shape[-1])
        return found

    first = sizes(range(40))
    assert set(first) == {4, 5, 6, 7, 8}
    drawer(data, training=True)
    assert sizes(range(20, 40)) == first[20:]
