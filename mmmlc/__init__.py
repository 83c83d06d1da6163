"""mmmlc: multi-label image classification for OpenMMLab.

Importing it imports nothing else: parts say what they miss when they are used.
"""

from mmmlc import aliases

__version__ = '0.2.0'

aliases.install()
