"""SCA-DNN: Spatial-context-aware deep neural network for multi-label image classification.

arXiv 2111.12296, of which the slides are our source. Feature pyramid (one patch generator for both
branches), then :class:`SCAHead`.

B: images, C: classes, R: proposals of an image, (H, W): input size.
"""

from __future__ import annotations

import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.dependencies import require_mmdet
from mmmlc.models.base import MultiLabelClassifier
from mmmlc.ops.boxes import image_size
from mmmlc.registry import MODELS

from .detection_parts import build_model
from .head import KeptPatches
from .truth import true_boxes


@MODELS.register_module()
class SCADNN(MultiLabelClassifier):
    """Object and context branch over a feature pyramid, trained with boxes.

    Args:
        backbone: Config of an mmpretrain or mmdet backbone that returns the maps of several stages.
        neck: Config of ``mmdet.FPN``.
        patch_generator: Config of ``mmdet.RPNHead`` with its ``train_cfg`` and ``test_cfg``.
        head: Config of :class:`SCAHead`.
        train_proposals: What differs from ``patch_generator.test_cfg`` in training, such as
            ``dict(nms_pre=2000)``.
        data_preprocessor: Config; ``mmpretrain.ClsDataPreprocessor`` unless it has a type.
        train_cfg: Batch augmentations would mix images but not their boxes: not allowed.
        pretrained: Checkpoint of the whole model, see ``mmpretrain.ImageClassifier``.
        init_cfg: Initialisation.

    Raises:
        ImportError: without mmdet; says how to get it.
    """

    mixed_images_lose = 'boxes'

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        patch_generator: dict,
        head: dict,
        train_proposals: dict | None = None,
        data_preprocessor: dict | None = None,
        train_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ):
        require_mmdet()
        super().__init__(backbone, head, neck, data_preprocessor, train_cfg, pretrained, init_cfg)
        self.patch_generator = build_model(patch_generator)
        self.train_proposals = ConfigDict(patch_generator['test_cfg']) | (train_proposals or {})

    def forward(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[DataSample]:
        """Run the model, as mmengine's runner calls it.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: With boxes for ``mode='loss'``; for ``'predict'`` the samples to write to.
            mode: ``'tensor'`` for image scores (B, C) in [0, 1], ``'loss'`` or ``'predict'``.
        """
        if mode == 'tensor':
            return self.head.scores(self._keep(inputs, data_samples))
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """``loss_rpn_cls`` and ``loss_rpn_bbox`` of the generator, and :meth:`SCAHead.loss`.

        Raises:
            ValueError: if a sample has no boxes.
        """
        truths = true_boxes(data_samples, self.head.num_classes, inputs.device)
        maps = self.extract_feat(inputs)
        outputs, metas = self._generate(maps), _metas(inputs, data_samples)
        objects = [_one_class(truth.objects()) for truth in truths]
        crowds = [_one_class(truth.crowds()) for truth in truths]
        losses = self.patch_generator.loss_by_feat(*outputs, objects, metas, crowds)
        proposals = self._proposals(outputs, metas, self.train_proposals)
        return losses | self.head.loss(maps, proposals, truths, _sizes(inputs, metas))

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict a batch.

        Returns:
            Samples with ``pred_score`` (C,) in [0, 1], ``pred_label``, ``object_score`` and
            ``context_score`` (C,); the N located objects, best first, in ``pred_instances``, see
            :mod:`mmmlc.models.instances`, with ``contexts`` and ``input_contexts`` (N, 4), the
            context patch of each; and ``pred_patches``, the K patches: ``input_proposals`` (K, 4)
            as proposed, ``input_bboxes`` (K, 4) regressed, both in pixels of the network's input,
            and ``scores`` (K,), confidences.
        """
        return self.head.predict(self._keep(inputs, data_samples), data_samples)

    def _keep(self, inputs: Tensor, samples: list[DataSample] | None) -> KeptPatches:
        maps, metas = self.extract_feat(inputs), _metas(inputs, samples)
        config = self.patch_generator.test_cfg
        proposals = self._proposals(self._generate(maps), metas, config)
        return self.head.keep(maps, proposals, _sizes(inputs, metas))

    def _generate(self, maps: tuple[Tensor, ...]) -> list[list[Tensor]]:
        """Objectness and deltas of all anchors, per level, float32 also under AMP."""
        return [[level.float() for level in levels] for levels in self.patch_generator(maps)]

    def _proposals(
        self, outputs: list[list[Tensor]], metas: list[dict], config: ConfigDict
    ) -> list[Tensor]:
        """Proposals (R, 4) of each image; the whole image where there would be none."""
        with torch.autocast(outputs[0][0].device.type, enabled=False):
            found = self.patch_generator.predict_by_feat(
                *outputs, batch_img_metas=metas, cfg=config
            )
        pairs = zip(found, metas, strict=True)
        return [x.bboxes if len(x) else _whole(x.bboxes, meta) for x, meta in pairs]


def _metas(inputs: Tensor, samples: list[DataSample] | None) -> list[dict]:
    """What mmdet wants to know of each image; the batch may be padded to the right and below."""
    size = image_size(inputs)
    shapes = [
        sample.get('img_shape', size)[:2] for sample in samples or [DataSample()] * len(inputs)
    ]
    return [dict(img_shape=shape, pad_shape=size) for shape in shapes]


def _sizes(inputs: Tensor, metas: list[dict]) -> Tensor:
    sizes = torch.tensor([meta['img_shape'] for meta in metas], dtype=torch.float32)
    return sizes.to(inputs.device, non_blocking=True)


def _one_class(boxes: InstanceData) -> InstanceData:
    return InstanceData(bboxes=boxes.bboxes, labels=torch.zeros_like(boxes.labels))


def _whole(boxes: Tensor, meta: dict) -> Tensor:
    height, width = meta['img_shape']
    return boxes.new_tensor([[0, 0, width, height]])
