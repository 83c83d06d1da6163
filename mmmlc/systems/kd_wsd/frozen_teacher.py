"""A teacher that only answers: frozen, in evaluation mode, and outside of the student's module.

B: images, R: proposals, T: kept proposals, C: classes, D: channels, (h, w): map size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Set

import torch
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmmlc.models.predictions import stack_proposals
from mmmlc.ops.nms import keep_proposals

from .distillation import resize_images
from .losses import TeacherOutput
from .teacher_cache import Answer, TeacherCache
from .weak_detection import objectness, region_scores

AMP_TYPES = {'float16': torch.float16, 'bfloat16': torch.bfloat16}


class FrozenTeacher:
    """Answers what the losses use. No module, so that it is no part of the one that holds it.

    Args:
        model: With ``regions`` as :class:`WSDDN`; for maps alone, any classifier with
            ``extract_feat``.
        uses: What is asked for: ``'maps'``, ``'regions'`` (kept boxes and objectness), ``'scores'``
            (logits of both branches).
        size: Side of its input; None leaves it as the pipeline gives it.
        iou: Of the non-maximum suppression of proposals by objectness; 1 keeps all.
        top: Proposals kept, repeated where there are fewer.
        amp: ``'float16'`` or ``'bfloat16'``: precision of its forward pass; None for that of the
            training.
    """

    def __init__(
        self,
        model: ImageClassifier,
        uses: Set[str],
        size: int | None = None,
        iou: float = 0.4,
        top: int = 100,
        amp: str | None = None,
    ):
        asked = uses & {'regions', 'scores'}
        method = 'regions' if asked else 'extract_feat'
        if not hasattr(model, method):
            raise TypeError(f'the teacher is a {type(model).__name__} without {method}()')
        self.model = model.eval().requires_grad_(False)
        self.uses = frozenset(uses)
        self.size = size
        self.iou = iou
        self.top = top
        self.amp = amp
        self.cache: TeacherCache | None = None

    @torch.no_grad()
    def __call__(self, inputs: Tensor, samples: list[DataSample]) -> TeacherOutput:
        """Answer for a batch of normalised images (B, 3, H, W)."""
        if not self.uses & {'regions', 'scores'}:
            return TeacherOutput(maps=self._maps(inputs))
        boxes, _, valid = (x.to(inputs.device, non_blocking=True) for x in stack_proposals(samples))
        if self.cache is None:
            answer = self.answer(inputs, samples)
        else:
            answer = self._stored(self.cache, inputs, samples)
        maps = answer.maps
        if maps is None and 'maps' in self.uses:
            maps = self._maps(inputs)
        kept = answer.kept
        if kept is not None:
            boxes = boxes.gather(1, kept[..., None].expand(-1, -1, 4))
        return TeacherOutput(
            maps, answer.class_logits, answer.detection_logits, valid, boxes, answer.objectness
        )

    @torch.no_grad()
    def answer(self, inputs: Tensor, samples: list[DataSample]) -> Answer:
        """What can be kept for later, with maps where they are used."""
        with self._precision(inputs):
            output = self.model.regions(resize_images(inputs, self.size), samples)
        logits = (output.class_logits, output.detection_logits)
        kept = best = None
        if 'regions' in self.uses:
            scores = objectness(region_scores(*logits, output.valid))
            kept = keep_proposals(output.boxes, scores, output.valid, self.iou, self.top)
            best = scores.gather(1, kept)
        if 'scores' not in self.uses:
            logits = (None, None)
        return Answer(kept, best, *logits, output.features if 'maps' in self.uses else None)

    def _maps(self, inputs: Tensor) -> tuple[Tensor, ...]:
        with self._precision(inputs):
            return tuple(self.model.extract_feat(resize_images(inputs, self.size)))

    def _stored(self, cache: TeacherCache, inputs: Tensor, samples: list[DataSample]) -> Answer:
        """The cache's answer, after the teacher has answered for what it lacks."""
        slots = cache.slots(samples)
        missing = cache.missing(slots, samples)
        maps = None
        if missing:
            # The maps of all are needed anyway where they are not kept.
            whole = 'maps' in self.uses and not cache.keeps_maps
            asked = list(range(len(samples))) if whole else missing
            some = [samples[i] for i in asked]
            answer = self.answer(inputs[torch.tensor(asked, device=inputs.device)], some)
            # Only these: what is kept stays to the bit, for a training that is killed and resumed.
            rows = [asked.index(i) for i in missing]
            new = [samples[i] for i in missing]
            cache.write([slots[i] for i in missing], new, answer.select(rows))
            maps = answer.maps
        stored = cache.read(slots, inputs.device)
        return stored if cache.keeps_maps else stored._replace(maps=maps)

    def _precision(self, inputs: Tensor) -> contextlib.AbstractContextManager:
        if self.amp is None:
            return contextlib.nullcontext()
        return torch.autocast(inputs.device.type, dtype=AMP_TYPES[self.amp])
