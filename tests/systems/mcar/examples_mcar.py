"""MCAR's parts and tools, see helpers/examples.py."""

from __future__ import annotations

from helpers.small_models import PLAIN, Classifier

MCAR = PLAIN | dict(type='mmmlc.MCAR', topn=2)
MODELS = [MCAR]
CLASSIFIERS = dict(mcar=Classifier(MCAR, views=('images',), regions=2))
CHECKPOINT_TOOLS = dict(
    convert=lambda config, file: (
        'convert_mcar_checkpoint.py', file, config.with_name('converted.pth'),
    )
)  # fmt: skip
