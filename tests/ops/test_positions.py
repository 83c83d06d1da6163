"""Position encodings against the loop over their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmmlc.ops.positions import sine_positions


@pytest.mark.parametrize(('size', 'channels'), [((3, 5), 8), ((1, 1), 4), ((14, 14), 64)])
def test_against_the_loop(size, channels):
    """Of each half of the channels 2i is a sine, 2i + 1 the cosine of the same angle."""
    (height, width), half = size, channels // 2
    expected = np.empty((height, width, channels))
    for y in range(height):
        for x in range(width):
            places = (2 * math.pi * (y + 1) / height, 2 * math.pi * (x + 1) / width)
            for c in range(channels):
                wave = 10000 ** (2 * (c % half // 2) / half)
                turn = math.cos if c % 2 else math.sin
                expected[y, x, c] = turn(places[c // half] / wave)
    found = sine_positions(size, channels)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected.reshape(-1, channels), atol=2e-6)


@pytest.mark.parametrize('channels', [0, 6, -4])
def test_wrong_channels(channels):
    with pytest.raises(ValueError, match=f'channels is {channels}, expected a multiple of 4'):
        sine_positions((2, 2), channels)
