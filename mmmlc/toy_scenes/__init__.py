"""ToyScenes, the embedded multi-label data set; ``tools/make_toy_scenes.py`` writes it."""

from .scenes import SPLITS, VERSION, ToyObject, draw_scene
from .shapes import CLASSES

__all__ = ['CLASSES', 'SPLITS', 'VERSION', 'ToyObject', 'draw_scene']
