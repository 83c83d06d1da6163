"""Tiny backbones of every family."""

from __future__ import annotations

SIZE = 64
TINY_VIT = dict(patch_size=16, embed_dim=24, depth=2, num_heads=2, img_size=SIZE)
TIMM = {
    'resnet': dict(model_name='resnet10t'),
    'convnext': dict(model_name='convnext_atto', depths=(1, 1, 1, 1), dims=(8, 8, 8, 16)),
    'swin': dict(
        model_name='swin_tiny_patch4_window7_224',
        img_size=SIZE,
        window_size=4,
        embed_dim=8,
        depths=(1, 1, 2),
        num_heads=(1, 1, 2),
    ),
    'vit': dict(model_name='vit_tiny_patch16_224', dynamic_img_size=True, **TINY_VIT),
    # Registers, and patches of 14 pixels as in DINOv2.
    'dinov2': dict(
        model_name='vit_small_patch14_reg4_dinov2',
        dynamic_img_size=True,
        **(TINY_VIT | dict(patch_size=14, img_size=56)),
    ),
    'vit_avg': dict(model_name='vit_tiny_patch16_224', global_pool='avg', **TINY_VIT),
}
MMPRETRAIN = {
    'convnext': dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 8, 16]),
        gap_before_final_norm=False,
    ),
    'swin': dict(
        type='mmpretrain.SwinTransformer',
        arch=dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
        img_size=SIZE,
        stage_cfgs=dict(block_cfgs=dict(window_size=12)),
        pad_small_map=True,
    ),
    'vit': dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48),
        img_size=SIZE,
        out_type='featmap',
    ),
}
BACKBONES = {
    **{f'timm-{name}': dict(type='mmmlc.TIMMFeatureMap', **cfg) for name, cfg in TIMM.items()},
    **{f'mmpretrain-{name}': cfg for name, cfg in MMPRETRAIN.items()},
}
STRIDES = {'resnet': 32, 'convnext': 32, 'vit': 16, 'dinov2': 14, 'vit_avg': 16}


def size_and_stride(name: str) -> tuple[int, int]:
    """Side of the images for a backbone, and pixels of a cell of its map."""
    kind = name.split('-')[1]
    stride = STRIDES.get(kind, 16 if name == 'timm-swin' else 32)
    return 56 if name == 'timm-dinov2' else SIZE, stride
