"""mmmlc: multi-label image classification for OpenMMLab.

Importing it imports nothing else: parts say what they miss when they are used. Two finders join
Python's: one for names of version 0.1, one for mmcv's operators where no compiled ones are.
``mmmlc.get_model`` is imported when it is used.
"""

from mmmlc import aliases, mmcv_ops
from mmmlc.lazy import lazy_exports

__version__ = '0.2.0'

aliases.install()
mmcv_ops.install_finder()
__getattr__ = lazy_exports(__name__, ready='get_model')[0]
