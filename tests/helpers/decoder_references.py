"""A query decoder in NumPy, one loop per index of the equations, to be read, not to be fast."""

from __future__ import annotations

import numpy as np


def softmax(values):
    shifted = np.exp(values - values.max())
    return shifted / shifted.sum()


def norm(x, state, name):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * state[f'{name}.weight'] + state[f'{name}.bias']


def linear(x, state, name):
    return x @ state[f'{name}.weight'].T + state[f'{name}.bias']


def attention(queries, keys, values, state, name, heads):
    """Of one image: what the queries (K, D) read, and the weights (K, N), a mean over the heads."""
    dims = queries.shape[1]
    weight, bias = state[f'{name}.in_proj_weight'], state[f'{name}.in_proj_bias']
    projected = [
        x @ weight[i * dims : (i + 1) * dims].T + bias[i * dims : (i + 1) * dims]
        for i, x in enumerate((queries, keys, values))
    ]
    read, weights = np.empty_like(queries), np.zeros((len(queries), len(keys)))
    for head in range(heads):
        part = slice(head * dims // heads, (head + 1) * dims // heads)
        q, k, v = (x[:, part] for x in projected)
        for i in range(len(q)):
            found = softmax(k @ q[i] / np.sqrt(dims / heads))
            read[i, part] = found @ v
            weights[i] += found / heads
    return linear(read, state, f'{name}.out_proj'), weights


def decode(features, positions, state, heads, layers, num_classes, relu=False):
    """Logits (C,) and maps of attention (C, N) of the places (N, D') of one image.

    Args:
        features: (N, D'), the places of the map row after row.
        positions: (N, D), or 0.
        state: Arrays by their names in the state dict of the head.
        heads: Of the attention.
        layers: How many there are.
        num_classes: C.
        relu: Whether the projected features are rectified.
    """
    values = linear(features, state, 'projection')
    values = np.maximum(values, 0) if relu else values
    queries = state['query_embed']
    for layer in range(layers):
        name = f'layers.{layer}'
        update = queries
        if f'{name}.self_attn.in_proj_weight' in state:
            update, _ = attention(queries, queries, queries, state, f'{name}.self_attn', heads)
        queries = norm(queries + update, state, f'{name}.norm1')
        read, weights = attention(
            queries, values + positions, values, state, f'{name}.multihead_attn', heads
        )
        queries = norm(queries + read, state, f'{name}.norm2')
        hidden = np.maximum(linear(queries, state, f'{name}.linear1'), 0)
        queries = norm(queries + linear(hidden, state, f'{name}.linear2'), state, f'{name}.norm3')
    groups, _, size = state['class_weight'].shape
    logits, maps = np.empty(num_classes), np.empty((num_classes, len(features)))
    for c in range(num_classes):
        group = c // size
        assert group < groups
        logits[c] = queries[group] @ state['class_weight'][group, :, c % size]
        logits[c] += state['class_bias'][c]
        maps[c] = weights[group]
    return logits, maps
