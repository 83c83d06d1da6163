"""Mining of part detectors: sample locations of maps, cluster them, rank the clusters."""

from .classifiers import ImageFeatures, fit_classifiers, image_features
from .clusters import MinedScale, mine_scale
from .mine import mine_parts, set_parts, share_parts
from .sampling import SampledPoints, ScalePoints, gather_points, sample_points
from .store import load_mined, save_mined

__all__ = [
    'ImageFeatures',
    'MinedScale',
    'SampledPoints',
    'ScalePoints',
    'fit_classifiers',
    'gather_points',
    'image_features',
    'load_mined',
    'mine_parts',
    'mine_scale',
    'sample_points',
    'save_mined',
    'set_parts',
    'share_parts',
]
