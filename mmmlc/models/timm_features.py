"""Feature maps of timm's models, transformers included.

B: images, D: channels, (H, W): input size, (h, w): map size, T: tokens.
"""

from __future__ import annotations

from typing import Any

from mmpretrain.models import TIMMBackbone
from torch import Tensor

from mmmlc.ops.boxes import image_size
from mmmlc.registry import MODELS


@MODELS.register_module()
class TIMMFeatureMap(TIMMBackbone):
    """Last feature map (B, D, h, w) of a timm model, normalised as its classifier gets it.

    ``mmpretrain.TIMMBackbone`` returns what the model does: tokens from a ViT, channels last from
    a Swin; with ``features_only=True`` a map that misses the final normalisation.

    Args:
        model_name: Of timm, e.g. ``'vit_base_patch14_dinov2.lvd142m'``.
        pretrained: Whether a training starts from timm's weights. They are fetched then, not for a
            test, whose checkpoint replaces them.
        in_channels: Of the images.
        init_cfg: Initialisation, instead of ``pretrained``.
        **kwargs: Of the timm model, e.g. ``drop_path_rate=0.1``. A ViT needs ``img_size=448``, and
            ``dynamic_img_size=True`` where the size of the images varies.

    Raises:
        ValueError: from ``forward``, if the model returns neither a map nor a grid of tokens.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: bool = False,
        in_channels: int = 3,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ):
        super().__init__(model_name, in_channels=in_channels, init_cfg=init_cfg, **kwargs)
        self.pretrained = pretrained
        self._create = dict(model_name=model_name, in_chans=in_channels, **kwargs)

    def init_weights(self) -> None:
        """Fetch timm's weights if asked for; called before training, never before a test."""
        if not self.pretrained:
            return super().init_weights()
        import timm

        source: Any = timm.create_model(pretrained=True, **self._create)
        source.reset_classifier(0, '')
        self.timm_model.load_state_dict(source.state_dict())
        self._is_init = True

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """The map, as the only element of a tuple."""
        features = self.timm_model(x)
        if features.ndim == 3:
            features = tokens_to_map(features, self.timm_model, image_size(x))
        elif getattr(self.timm_model, 'output_fmt', 'NCHW') == 'NHWC':
            features = features.permute(0, 3, 1, 2)
        if features.ndim != 4:
            name, shape = self._create['model_name'], tuple(features.shape)
            raise ValueError(f'timm model {name} returns shape {shape}, expected a map or tokens')
        return (features.contiguous(),)


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
