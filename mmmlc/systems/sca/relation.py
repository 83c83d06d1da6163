"""Object-to-object relations. B: images, P: patches of an image, D: width of a patch's vector."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from mmmlc.ops.boxes import to_fractions


class PatchRelation(BaseModule):
    """Self-attention among the patches of an image, each of which says what it is and where.

    The slides name relations between objects as further work and give no form; this is ours: one
    residual layer, ``x + attention(norm(x + place(box)))``.

    Args:
        width: D.
        num_heads: Of the attention; divides D.
        init_cfg: Initialisation.
    """

    def __init__(self, width: int, num_heads: int, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if num_heads < 1 or width % num_heads:
            raise ValueError(f'relation_heads is {num_heads}, expected a divisor of width={width}')
        self.place = nn.Linear(4, width)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, num_heads, batch_first=True)

    def forward(self, vectors: Tensor, boxes: list[Tensor], sizes: Tensor) -> Tensor:
        """Vectors of the patches of all images, (P in total, D), each knowing of the others.

        Args:
            vectors: (P in total, D), image by image.
            boxes: Of each image (P, 4) in pixels, P at least 1.
            sizes: (B, 2) height and width of the images.
        """
        counts = [len(x) for x in boxes]
        x = pad_sequence(vectors.split(counts), batch_first=True)
        shares = to_fractions(pad_sequence(boxes, batch_first=True), sizes[:, None])
        lengths = torch.tensor(counts).to(x.device, non_blocking=True)
        padding = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
        told = self.norm(x + self.place(shares.to(x.dtype)))
        related, _ = self.attention(told, told, told, key_padding_mask=padding, need_weights=False)
        return vectors + torch.cat([x[:n] for x, n in zip(related, counts, strict=True)])
