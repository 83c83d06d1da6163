"""mmmlc: multi-label image classification for OpenMMLab."""

from mmmlc.dependencies import require_core
from mmmlc.mmcv_ops import install_finder

__version__ = '0.1.0'

require_core()
install_finder()
