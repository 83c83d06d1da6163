"""mmmlc: multi-label image classification for OpenMMLab.

Importing it imports nothing else: parts say what they miss when they are used. Two finders join
Python's: one for names of version 0.1, one for mmcv's operators where no compiled ones are.
"""

from mmmlc import aliases, mmcv_ops

__version__ = '0.2.0'

aliases.install()
mmcv_ops.install_finder()
