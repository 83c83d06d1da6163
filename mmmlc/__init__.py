"""mmmlc: multi-label image classification for OpenMMLab."""

from mmmlc.dependencies import require_core

__version__ = '0.1.0'

require_core()
