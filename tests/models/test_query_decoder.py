"""The query decoder against NumPy, torch's decoder and timm's ML-Decoder."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from helpers.decoder_references import decode
from helpers.small_models import PLAIN
from mmpretrain.structures import DataSample
from timm.layers.ml_decoder import MLDecoder
from torch import nn

from mmmlc.models.query_decoder import QueryDecoderHead
from mmmlc.ops.positions import sine_positions
from mmmlc.registry import MODELS

CHANNELS, DIMS = 6, 8
SMALL = dict(in_channels=CHANNELS, embed_dims=DIMS, num_heads=2, feedforward_channels=12)
ML_DECODER = dict(
    num_layers=1,
    self_attention=False,
    position_encoding='none',
    learnable_queries=False,
    relu_features=True,
)
KINDS = {
    'query2label': dict(num_classes=5),
    'query2label, one class': dict(num_classes=1),
    'ml-decoder': dict(num_classes=5, **ML_DECODER),
    'ml-decoder, groups': dict(num_classes=7, num_groups=3, **ML_DECODER),  # 3 + 3 + 1 classes
    'ml-decoder, one group': dict(num_classes=4, num_groups=1, **ML_DECODER),
    # 2 classes in each of the first 5 of 7 groups.
    'of both': dict(num_classes=9, num_groups=7, num_layers=3, position_encoding='none'),
}


def build(kind: str = 'query2label', **options) -> QueryDecoderHead:
    """A head whose norms and biases are not those of the start; without dropout."""
    head = QueryDecoderHead(**(SMALL | KINDS[kind] | dict(drop_rate=0.0) | options))
    for parameter in head.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, std=0.5)
    return head


def maps(images: int = 2) -> torch.Tensor:
    return torch.randn(images, CHANNELS, 3, 4)


@torch.no_grad()
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('training', [True, False])
def test_against_numpy(kind, training):
    head, features = build(kind).train(training), maps()
    state = {name: value.double().numpy() for name, value in head.state_dict().items()}
    sine = head.position_encoding == 'sine'
    positions = sine_positions((3, 4), DIMS).double().numpy() if sine else 0
    logits, attention = head((features,)), head.attention_maps((features,))
    options = (positions, state, 2, len(head.layers), head.num_classes, head.relu_features)
    for i, image in enumerate(features.double().numpy()):
        expected = decode(image.reshape(CHANNELS, -1).T, *options)
        np.testing.assert_allclose(logits[i], expected[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(attention[i].flatten(1), expected[1], rtol=1e-4, atol=1e-6)


def test_equals_torchs_decoder():
    """Outputs and gradients; torch's keys are its values, so without position encoding."""
    head = build(position_encoding='none')
    layer = nn.TransformerDecoderLayer(DIMS, 2, 12, 0.0, batch_first=True)
    decoder = nn.TransformerDecoder(layer, 2)
    state = head.state_dict()
    decoder.load_state_dict({k: v for k, v in state.items() if k.startswith('layers.')})
    features = maps()
    places = head.projection(features.flatten(2).transpose(1, 2)).detach()
    queries = decoder(head.query_embed.detach().expand(2, -1, -1), places)
    expected = (queries * head.class_weight[..., 0].detach()).sum(-1) + head.class_bias.detach()
    found = head((features,))
    torch.testing.assert_close(found, expected)
    factors = torch.randn_like(found)
    (found * factors).sum().backward()
    (expected * factors).sum().backward()
    own = dict(head.named_parameters())
    for name, parameter in decoder.named_parameters():
        torch.testing.assert_close(own[name].grad, parameter.grad, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(('classes', 'groups'), [(8, 8), (11, 4), (101, 100), (9605, 100)])
def test_equals_timms_ml_decoder(classes, groups):
    reference = MLDecoder(classes, groups, DIMS * 2, CHANNELS).eval()
    reference.decoder = reference.decoder.layers[0]  # torch's stack no longer takes the layer
    wide = dict(num_heads=8, embed_dims=DIMS * 2, feedforward_channels=2048, num_groups=groups)
    head = QueryDecoderHead(**(SMALL | ML_DECODER | wide), num_classes=classes).eval()
    names = {'embed_standart.': 'projection.', 'decoder.': 'layers.0.'}
    names |= {'query_embed.weight': 'query_embed', 'duplicate_pooling_bias': 'class_bias'}
    names |= {'duplicate_pooling': 'class_weight'}
    pattern = re.compile('|'.join(map(re.escape, names)))
    state = reference.state_dict().items()
    head.load_state_dict({pattern.sub(lambda m: names[m[0]], k, count=1): v for k, v in state})
    features = maps()
    torch.testing.assert_close(head((features,)), reference(features), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('kind', KINDS)
def test_every_parameter_learns(kind):
    """All gradients are finite, and other than rounding but where the mathematics cancels them."""
    model = PLAIN | dict(head=dict(type='mmmlc.QueryDecoderHead', **(SMALL | KINDS[kind])))
    model['head']['in_channels'] = 32
    model = MODELS.build(model)
    model.init_weights()
    samples = [DataSample().set_gt_label([0]), DataSample().set_gt_label([])]
    sum(model.loss(torch.randn(2, 3, 64, 64), samples).values()).backward()
    for name, parameter in model.head.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if name.endswith('in_proj_bias'):  # a softmax does not see the bias of all keys
            query, _, value = parameter.grad.chunk(3)
            assert value.abs().max() > 1e-7, name
            assert query.abs().max() > 1e-10 or model.head.num_classes == 1, name
        elif not name.endswith('self_attn.in_proj_weight'):
            assert parameter.grad.abs().max() > 1e-7, name


def test_groups_give_the_logits_of_their_classes():
    """7 classes in 3 groups: 3, 3 and 1; the two weights that are left over have no gradient."""
    head = build('ml-decoder, groups')
    assert head.class_weight.shape == (3, DIMS, 3) and head((maps(),)).shape == (2, 7)
    for c in range(7):
        (gradient,) = torch.autograd.grad(head((maps(),))[:, c].sum(), head.class_weight)
        touched = gradient.abs().sum(1).nonzero().tolist()
        assert touched == [[c // 3, c % 3]]


@torch.no_grad()
def test_order_of_places_counts_only_with_positions():
    features = maps()
    shuffled = features.flatten(2)[..., torch.randperm(12)].unflatten(2, (3, 4))
    without, sine = build(position_encoding='none'), build()
    torch.testing.assert_close(without((shuffled,)), without((features,)))
    assert (sine((shuffled,)) - sine((features,))).abs().max() > 1e-3


@torch.no_grad()
def test_classes_can_change_places():
    """Queries, weights and biases of classes in another order: their logits, too."""
    head, features, order = build(), maps(), torch.randperm(5)
    before = head((features,))
    for name in ('query_embed', 'class_weight', 'class_bias'):
        parameter = getattr(head, name)
        parameter.copy_(parameter[order])
    torch.testing.assert_close(head((features,)), before[:, order])


@torch.no_grad()
def test_attention_maps_of_groups():
    head = build('ml-decoder, groups')
    found = head.attention_maps((torch.randn(2, 9, 5, 5), maps()))
    assert found.shape == (2, 7, 3, 4) and found.min() > 0
    torch.testing.assert_close(found.sum((2, 3)), torch.ones(2, 7))
    groups = [0, 0, 0, 1, 1, 1, 2]
    torch.testing.assert_close(found, found[:, [0, 3, 6]][:, groups])
    assert (found[:, 0] - found[:, 3]).abs().max() > 1e-3


def test_fixed_queries_are_kept_and_not_trained():
    fixed, learnt = build(learnable_queries=False), build()
    assert 'query_embed' not in dict(fixed.named_parameters())
    assert 'query_embed' in dict(learnt.named_parameters())
    assert fixed.state_dict().keys() == learnt.state_dict().keys()
    fixed.load_state_dict(learnt.state_dict())
    features = maps()
    torch.testing.assert_close(fixed((features,)), learnt((features,)))


def test_dropout_is_that_of_training():
    head, features = build(drop_rate=0.5), maps()
    assert not torch.equal(head((features,)), head((features,)))
    head.eval()
    assert torch.equal(head((features,)), head((features,)))


def test_start():
    """Statistics of 400 x 64 or more numbers; uniform in +-b has the deviation b / sqrt(3)."""
    head = QueryDecoderHead(400, CHANNELS, embed_dims=64, feedforward_channels=128)
    bounds = {
        'class_weight': 1 / 8,
        'layers.0.linear1.weight': math.sqrt(6 / (64 + 128)),
        'layers.1.multihead_attn.in_proj_weight': math.sqrt(6 / (64 + 3 * 64)),
    }
    values = dict(head.named_parameters())
    for name, bound in bounds.items():
        assert values[name].std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert bound * 0.99 < values[name].abs().max() <= bound
    assert values['query_embed'].std().item() == pytest.approx(1, rel=0.05)
    assert values['class_bias'].abs().max() == 0
    first, second = (head.layers[i].linear1.weight for i in (0, 1))
    assert not torch.equal(first, second)
    chosen = dict(type='mmengine.Constant', layer='Linear', val=0.25)
    model = dict(type='mmmlc.QueryDecoderHead', num_classes=2, init_cfg=chosen, **SMALL)
    head = MODELS.build(model)
    head.init_weights()
    assert (head.projection.weight == 0.25).all()


@pytest.mark.parametrize('kind', ['query2label', 'ml-decoder, groups'])
def test_mixed_precision(kind):
    """Logits and maps are float32, and near those of float32; so are the gradients."""
    head, features = build(kind), maps()
    expected = head((features,))
    with torch.autocast('cpu', torch.bfloat16):
        found, attention = head((features,)), head.attention_maps((features,))
    assert found.dtype == attention.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0)
    torch.testing.assert_close(attention, head.attention_maps((features,)), atol=0.02, rtol=0)
    found.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['query2label', 'ml-decoder, groups'])
def test_compiled(kind):
    head, features = build(kind).eval(), maps()
    compiled = torch.compile(head, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled((features,)), head((features,)))
    weight = head.layers[0].linear1.weight
    found, expected = (torch.autograd.grad(f((features,)).sum(), weight) for f in (compiled, head))
    torch.testing.assert_close(found, expected)


def test_channels_last():
    head, features = build(), maps()
    expected = head((features,))
    head.to(memory_format=torch.channels_last)
    found = head((features.to(memory_format=torch.channels_last),))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_classes=0), 'num_classes is 0, expected an integer of at least 1'),
        (dict(num_layers=0), 'num_layers is 0, expected an integer of at least 1'),
        (dict(num_groups=0), 'num_groups is 0, expected an integer of at least 1'),
        (dict(num_groups=2.5), r'num_groups is 2\.5, expected an integer of at least 1'),
        (dict(num_groups=6), r'num_groups is 6, expected at most model\.head\.num_classes, 5'),
        (dict(num_heads=3), r'num_heads is 3, expected a divisor of model\.head\.embed_dims, 8'),
        (dict(embed_dims=6), 'embed_dims is 6, expected a multiple of 4 for .*sine'),
        (dict(drop_rate=1.5), r'drop_rate is 1\.5, expected a number in \[0, 1\]'),
        (dict(position_encoding='2d'), "position_encoding is '2d', expected one of 'sine', 'none'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=rf'^model\.head\.{message}'):
        build(**options)


def test_wrong_features():
    head = build()
    with pytest.raises(ValueError, match=r'shape \(2, 6\), the head expects a map'):
        head((torch.zeros(2, CHANNELS),))
    with pytest.raises(ValueError, match=r'returns 7 channels, model\.head\.in_channels is 6'):
        head.attention_maps((torch.zeros(2, 7, 3, 3),))
