"""Mining of part detectors: sample locations of maps, cluster them, rank the clusters."""

from .clusters import MinedScale, mine_scale
from .sampling import SampledPoints, ScalePoints, gather_points, sample_points
from .store import load_mined, save_mined

__all__ = [
    'MinedScale',
    'SampledPoints',
    'ScalePoints',
    'gather_points',
    'load_mined',
    'mine_scale',
    'sample_points',
    'save_mined',
]
