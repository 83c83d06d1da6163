"""Pictures of predictions and of training."""

from .curves import draw_curves
from .regions import draw_prediction

__all__ = ['draw_curves', 'draw_prediction']
