"""The networks of MCAR's authors out of torchvision's, and both streams in plain steps.

Weights are named by torchvision here and by the authors' code in the checkpoints; nothing of
mmmlc or mmpretrain is used.
"""

from __future__ import annotations

import torch
import torchvision
from author_weights import rule_tensor
from region_references import box_of_map, crop_and_resize
from torch import Tensor, nn

RESNET_UNITS = dict(conv1=0, bn1=1, layer1=4, layer2=5, layer3=6, layer4=7)
MOBILENET_PLACES = {'0.0': 0, '0.1': 1, '1.0': 3, '1.1': 4, '2': 6, '3': 7}
MOBILENET_FIRST = {'0.0': 0, '0.1': 1, '1': 3, '2': 4}  # no expansion


def resnet_key(key: str) -> str | None:
    unit, rest = key.split('.', 1)
    return f'features.{RESNET_UNITS[unit]}.{rest}' if unit in RESNET_UNITS else None


def mobilenet_key(key: str) -> str | None:
    kind, *rest = key.split('.')
    if kind != 'features':
        return None
    unit = int(rest[0])
    if unit in (0, 18):
        return f'features.{"0.0" if unit == 0 else 1}.{".".join(rest[1:])}'
    places = MOBILENET_FIRST if unit == 1 else MOBILENET_PLACES
    place = places['.'.join(rest[2:-1])]
    return f'features.0.{unit}.conv.{place}.{rest[-1]}'


class Author(nn.Module):
    """Backbone and 1x1 convolution with rule-made weights."""

    def __init__(self, arch: str, classes: int):
        super().__init__()
        model = getattr(torchvision.models, dict(mobilenetv2='mobilenet_v2').get(arch, arch))()
        name = mobilenet_key if arch == 'mobilenetv2' else resnet_key
        self.scale = 0.4 if arch == 'mobilenetv2' else 0.25
        state = {k: (name(k), v) for k, v in model.state_dict().items() if name(k)}
        self.named = {key: rule_tensor(key, like, self.scale) for key, like in state.values()}
        weights = {k: self.named[key] for k, (key, _) in state.items()}
        model.load_state_dict(weights, strict=False, assign=True)
        if arch == 'mobilenetv2':
            self.backbone, channels = model.features, 1280
        else:
            self.backbone, channels = nn.Sequential(*list(model.children())[:-2]), 2048
        self.set_classes(classes, channels)
        self.eval()

    def set_classes(self, classes: int, channels: int) -> None:
        self.classifier = nn.Conv2d(channels, classes, 1)
        for name, value in self.classifier.state_dict().items():
            key = f'convclass.{name}'
            self.named[key] = rule_tensor(key, value, self.scale)
            getattr(self.classifier, name).data = self.named[key]

    def maps_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class maps and logits of generalised weighted pooling, lambda 0.5 (Eq. 15)."""
        features = self.backbone(images)
        pooled = 0.5 * features.mean((2, 3)) + 0.5 * features.amax((2, 3))
        weight = self.classifier.weight[:, :, 0, 0]
        return self.classifier(features), pooled @ weight.T + self.classifier.bias

    @torch.no_grad()
    def scores(self, image: Tensor, topn: int) -> Tensor:
        """Scores of one image (3, H, W), image and regions one by one."""
        size = tuple(image.shape[1:])
        maps, logits = self.maps_and_logits(image[None])
        best = logits[0].argsort(descending=True)[:topn]
        boxes = [box_of_map(maps[0, c].sigmoid(), size, 0.5, 'authors') for c in best]
        crops = torch.stack([crop_and_resize(image, box, size) for box in boxes])
        local = self.maps_and_logits(crops)[1].amax(0)
        return torch.maximum(logits[0], local).sigmoid()

    def checkpoint(self, prefix: str = 'module.', **entries) -> dict:
        """As the authors' script saves it, from DataParallel."""
        state = {prefix + key: value for key, value in self.named.items()}
        return dict(epoch=60, arch='', state_dict=state, best_score=torch.tensor(83.8)) | entries
