"""A transformer decoder as head: queries read from the feature map what their classes need.

- Query2Label: A Simple Transformer Way to Multi-Label Classification, Shilong Liu et al., 2021,
  arXiv 2107.10834.
- ML-Decoder: Scalable and Versatile Classification Head, Tal Ridnik et al., 2021, arXiv 2111.12933.

B: images, C: classes, D: embedding dimensions, K: queries, G: classes of a query, (h, w): map size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmmlc.ops.checks import check_choice, check_count, check_fraction
from mmmlc.ops.positions import sine_positions
from mmmlc.registry import MODELS

from .base import MultiLabelHead
from .heads import last_map

POSITION_ENCODINGS = ('sine', 'none')


class QueryDecoderLayer(nn.TransformerDecoderLayer):
    """torch's layer, with keys beside the values, and self-attention that can be left out.

    The weights have the same names, so that those of a ``torch.nn.TransformerDecoder`` fit.

    Args:
        embed_dims: D.
        num_heads: Of the attention.
        feedforward_channels: Width of the hidden layer.
        drop_rate: Of attention, hidden layer and what is added to the queries.
        self_attention: Whether the queries attend to each other; else they are passed on instead.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        drop_rate: float = 0.1,
        self_attention: bool = True,
    ):
        super().__init__(embed_dims, num_heads, feedforward_channels, drop_rate, batch_first=True)
        self.has_self_attention = self_attention
        if not self_attention:
            del self.self_attn
        for parameter in self.parameters():
            if parameter.ndim > 1:  # as torch.nn.Transformer does
                nn.init.xavier_uniform_(parameter)

    def forward(  # type: ignore[override]  # no masks, but keys
        self, queries: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        """Queries (B, K, D) after reading the values (B, h * w, D) at keys of the same shape."""
        queries, attended, _ = self.attend(queries, keys, values)
        x = self.norm2(queries + self.dropout2(attended))
        hidden = self.dropout(self.activation(self.linear1(x)))
        return self.norm3(x + self.dropout3(self.linear2(hidden)))

    def attend(
        self, queries: Tensor, keys: Tensor, values: Tensor, need_weights: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Queries after self-attention, what they read (both (B, K, D)), and with which weights.

        The weights (B, K, h * w) are averaged over the heads, and None unless they are needed.
        """
        update = queries
        if self.has_self_attention:
            update = self.self_attn(queries, queries, queries, need_weights=False)[0]
        queries = self.norm1(queries + self.dropout1(update))
        attended, weights = self.multihead_attn(queries, keys, values, need_weights=need_weights)
        return queries, attended, weights


@MODELS.register_module()
class QueryDecoderHead(MultiLabelHead):
    """Queries that cross-attend to the feature map, and a linear layer for each of them.

    As it is, the head is Query2Label's: a query for each class (its label embeddings), layers of
    self-attention, cross-attention and feed-forward network (Eq. 1-3), and a weight vector for
    each class (Eq. 4). ``self_attention=False, position_encoding='none', learnable_queries=False,
    num_groups=K`` is ML-Decoder's: K fixed queries, and a fully connected layer for each that
    gives the logits of G = ceil(C / K) classes, those from k * G on ("group fully-connected"). Its
    authors' code also has ``relu_features=True``.

    From the authors' codes: queries drawn from a normal distribution, of which ML-Decoder trains
    none; position encodings on the keys, not on the values; a ReLU on the projected map; what is
    left of the self-attention where it is dropped, which is its residual connection and norm; as
    many groups as asked for, even if less would hold all classes; no mask, no final norm.

    Ours: Query2Label's paper adds position encodings to queries as well; label embeddings have no
    places, and are the first queries here. (In the code zeros are, and the embeddings are added in
    each layer; the code drops self-attention by default, has a final norm and an encoder layer.)
    All weights of a layer start as in ``torch.nn.Transformer``, those of classes uniform in
    +-1 / sqrt(D) as in Query2Label's code, their biases 0. The classification runs in float32.

    Args:
        num_classes: C.
        in_channels: Channels of the backbone's (or neck's) last feature map.
        embed_dims: D, to which a linear layer projects the map.
        num_layers: Of the decoder.
        num_heads: Of each attention, a divisor of D.
        feedforward_channels: Hidden width of the feed-forward networks.
        drop_rate: Dropout of the decoder.
        num_groups: K; None for a query per class.
        self_attention: Whether the queries attend to each other: a time and memory of K * K.
        position_encoding: Of the map, ``'sine'`` (D a multiple of 4) or ``'none'``.
        learnable_queries: Whether the queries are trained. Both kinds are in the checkpoint under
            the same name.
        relu_features: Whether the projected map passes a ReLU.
        loss: Config of the loss, called with logits, targets and the mask of valid pairs; the mean
            binary cross-entropy by default. Both papers take :class:`AsymmetricLoss`.
        threshold: Score from which a class is in ``pred_label``, unless the checkpoint holds
            thresholds per class (``tools/tune_thresholds.py``), which come first.
        init_cfg: Initialisation of layers, after the one above.

    Raises:
        ValueError: for a wrong option, or a feature map that does not fit.
    """

    layers: Any  # an nn.ModuleList does not say that it holds QueryDecoderLayers

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        embed_dims: int = 256,
        num_layers: int = 2,
        num_heads: int = 4,
        feedforward_channels: int = 1024,
        drop_rate: float = 0.1,
        num_groups: int | None = None,
        self_attention: bool = True,
        position_encoding: str = 'sine',
        learnable_queries: bool = True,
        relu_features: bool = False,
        loss: dict | None = None,
        threshold: float = 0.5,
        init_cfg: dict | None = None,
    ):
        loss = loss or dict(type='mmmlc.MultiLabelBCELoss')
        super().__init__(num_classes, threshold, loss, init_cfg)
        num_groups = num_classes if num_groups is None else num_groups
        counts = dict(
            num_classes=num_classes,
            in_channels=in_channels,
            embed_dims=embed_dims,
            num_layers=num_layers,
            num_heads=num_heads,
            feedforward_channels=feedforward_channels,
            num_groups=num_groups,
        )
        for name, value in counts.items():
            check_count(f'model.head.{name}', value)
        check_fraction('model.head.drop_rate', drop_rate)
        check_choice('model.head.position_encoding', position_encoding, POSITION_ENCODINGS)
        _check_together(num_classes, num_groups, embed_dims, num_heads, position_encoding)
        self.in_channels = in_channels
        self.position_encoding = position_encoding
        self.relu_features = relu_features
        self.group_size = -(-num_classes // num_groups)
        self.projection = nn.Linear(in_channels, embed_dims)
        queries = torch.randn(num_groups, embed_dims)
        if learnable_queries:
            self.query_embed = nn.Parameter(queries)
        else:
            self.register_buffer('query_embed', queries)
        self.layers = nn.ModuleList(
            QueryDecoderLayer(
                embed_dims, num_heads, feedforward_channels, drop_rate, self_attention
            )
            for _ in range(num_layers)
        )
        bound = embed_dims**-0.5
        weight = torch.empty(num_groups, embed_dims, self.group_size).uniform_(-bound, bound)
        self.class_weight = nn.Parameter(weight)
        self.class_bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """Logits (B, C), float32, of the last feature map (B, in_channels, h, w)."""
        queries, keys, values = self._inputs(features)
        for layer in self.layers:
            queries = layer(queries, keys, values)
        with torch.autocast(queries.device.type, enabled=False):
            weight, bias = self.class_weight.float(), self.class_bias.float()
            logits = torch.einsum('bkd,kdg->bkg', queries.float(), weight)
            return logits.flatten(1)[:, : self.num_classes] + bias

    def attention_maps(self, features: tuple[Tensor, ...]) -> Tensor:
        """Where the query of each class looks, for pictures: in evaluation mode.

        Args:
            features: Of the backbone; the last one (B, in_channels, h, w) is used.

        Returns:
            (B, C, h, w), non-negative, with sum 1: cross-attention of the last layer, averaged over
            its heads. The classes of a group have the same map.
        """
        queries, keys, values = self._inputs(features)
        for layer in self.layers[:-1]:
            queries = layer(queries, keys, values)
        weights = self.layers[-1].attend(queries, keys, values, need_weights=True)[2]
        maps = weights.float().repeat_interleave(self.group_size, dim=1)[:, : self.num_classes]
        return maps.unflatten(2, last_map(features, self.in_channels).shape[-2:])

    def _inputs(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, K, D), keys and values (B, h * w, D)."""
        last = last_map(features, self.in_channels)
        values = self.projection(last.flatten(2).transpose(1, 2))
        if self.relu_features:
            values = values.relu()
        keys = values
        if self.position_encoding == 'sine':
            height, width = last.shape[-2:]
            places = sine_positions((height, width), values.shape[-1], device=values.device)
            keys = values + places.to(values.dtype)
        return self.query_embed.expand(len(last), -1, -1), keys, values


def _check_together(
    num_classes: int, num_groups: int, embed_dims: int, num_heads: int, position_encoding: str
) -> None:
    if num_groups > num_classes:
        raise ValueError(
            f'model.head.num_groups is {num_groups}, expected at most model.head.num_classes, '
            f'{num_classes}'
        )
    if embed_dims % num_heads:
        raise ValueError(
            f'model.head.num_heads is {num_heads}, expected a divisor of model.head.embed_dims, '
            f'{embed_dims}'
        )
    if position_encoding == 'sine' and embed_dims % 4:
        raise ValueError(
            f'model.head.embed_dims is {embed_dims}, expected a multiple of 4 for '
            "model.head.position_encoding='sine'"
        )
