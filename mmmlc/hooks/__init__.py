"""Hooks for mmengine's runner."""

from .region_pictures import RegionPictureHook
from .vocabulary import VocabularyHook

__all__ = ['RegionPictureHook', 'VocabularyHook']
