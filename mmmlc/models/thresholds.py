"""Thresholds per class, kept in the checkpoint. C: classes."""

from __future__ import annotations

import torch
from torch import Tensor


class TunedThresholds:
    """Goes before the module class of a head that has ``threshold`` and ``num_classes``.

    The buffer ``thresholds`` (C,) is None, and not in the state, until a checkpoint that
    ``tools/tune_thresholds.py`` wrote brings one: all other checkpoints keep their keys.
    """

    thresholds: Tensor | None
    threshold: float
    num_classes: int

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer('thresholds', None)

    @property
    def label_threshold(self) -> float | Tensor:
        """Least score of a class in ``pred_label``: one for all, or tuned ones (C,)."""
        return self.threshold if self.thresholds is None else self.thresholds

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        stored = state_dict.get(f'{prefix}thresholds')
        self.thresholds = None
        if stored is not None:
            device = next(self.parameters(), stored).device
            self.thresholds = torch.zeros(self.num_classes, device=device)
        super()._load_from_state_dict(state_dict, prefix, *args)
