"""Pictures of predictions and of training."""

import mmmlc.registry  # noqa: F401 - says what is missing before the rest fails

from .curves import draw_curves
from .regions import draw_prediction

__all__ = ['draw_curves', 'draw_prediction']
