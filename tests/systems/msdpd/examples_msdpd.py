"""MsDPD's parts and tools, see helpers/examples.py."""

from __future__ import annotations

from pathlib import Path

from helpers.small_models import PLAIN, C, Classifier

HEAD = dict(
    type='mmmlc.MsDPDHead',
    num_classes=C,
    in_channels=(32,),
    num_parts=(4,),
    plain_channels=32,
    instances=2,
)
MODELS = [dict(type='mmmlc.MsDPDHead', num_classes=C, in_channels=(8, 16), num_parts=(3, 2))]
HOOKS = [
    dict(type='mmmlc.PartMiningHook', clusters=(3, 2)),
    dict(type='mmmlc.PartPictureHook', out_dir='pictures'),
]
CLASSIFIERS = dict(msdpd=Classifier(PLAIN | dict(head=HEAD)))


def mining(config: Path) -> Path:
    """The configuration with the hook that tools/mine_parts.py reads."""
    path = config.with_name('mining.py')
    hook = dict(type='mmmlc.PartMiningHook', clusters=[2])
    path.write_text(f"_base_ = './{config.name}'\ncustom_hooks = [{hook!r}]\n")
    return path


CHECKPOINT_TOOLS = dict(
    mine=lambda config, file: (
        'mine_parts.py', mining(config), config.with_name('parts.npz'), '--checkpoint', file,
    ),
    ridges=lambda config, file: (
        'ridge_table.py', config, config.with_name('parts.npz'), '--checkpoint', file,
    ),
)  # fmt: skip
OTHER_MODEL = {'mine', 'ridges'}
