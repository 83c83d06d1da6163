"""Keys and values of a config that nothing would read, or that would fail far from their cause.

A misspelt key is no error for mmengine: it is a variable that nobody uses. Here a key is an error
if it looks like one that is read (``train_dataloder``, ``load_form``, ``my_hooks``) and its value
occurs nowhere else. Other variables are left alone: a base file may define what a config that
inherits from it does not use.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mmengine import registry as root
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    Runner,
    TestLoop,
    ValLoop,
)
from torch.utils.data import DataLoader

from .signatures import suggest, wrong_arguments

SHOWN = 10
SPLITS = ('train', 'val', 'test')
# What the runner takes, what Runner.from_cfg and tools read beside it.
KNOWN = frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | {
    *('custom_imports', 'env_cfg', 'model_wrapper_cfg', 'runner_type', 'sync_bn', 'strategy'),
    *('tta_model', 'tta_pipeline', 'compile', 'find_unused_parameters', 'cfg'),
}
# Of these, the ones that a misspelt key may mean; test_pipeline is a usual variable.
MEANT = KNOWN - {'cfg', 'compile', 'strategy', 'tta_pipeline'}
# Keys of OpenMMLab before 2.0, which nothing reads any more.
OLD = {
    'data': 'train_dataloader, val_dataloader and test_dataloader',
    'optimizer': 'optim_wrapper=dict(optimizer=...)',
    'optimizer_config': 'optim_wrapper=dict(clip_grad=...)',
    'lr_config': 'param_scheduler',
    'momentum_config': 'param_scheduler',
    'runner': 'train_cfg',
    'evaluation': 'val_evaluator and train_cfg=dict(val_interval=...)',
    'checkpoint_config': 'default_hooks=dict(checkpoint=...)',
    'log_config': 'default_hooks=dict(logger=...)',
    'resume_from': 'resume=True and load_from',
    'workflow': 'train_cfg',
    'fp16': "optim_wrapper=dict(type='mmengine.AmpOptimWrapper')",
}
ENDINGS = ('_dataloader', '_evaluator', '_hooks', '_wrapper', '_scheduler', '_cfg')
HOOK_NAMES = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
STRICT = {
    'auto_scale_lr': ('base_batch_size', 'enable'),
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'randomness': ('seed', 'deterministic', 'diff_rank_seed'),
}
LOADER = frozenset(inspect.signature(DataLoader.__init__).parameters) - {'self'} | {
    'num_batch_per_epoch'
}


def check_config(cfg: Config) -> None:
    """Compare a config with what reads it.

    Raises:
        ValueError: naming every key that nothing reads, with the nearest known one, and every
            argument of a registered class that it does not take or, of our own classes, that is of
            another type.
    """
    config = cfg.to_dict()
    scope = config.get('default_scope') or 'mmengine'
    found = [*_top_level(config), *_Parts(scope).wrong(config)]
    if found:
        rest = [f'and {len(found) - SHOWN} more'] if len(found) > SHOWN else []
        name = cfg.filename or 'the config'
        raise ValueError('\n  '.join([f'{name}:', *found[:SHOWN], *rest]))


def check_overrides(cfg: Config, options: Mapping[str, Any]) -> None:
    """Compare ``--cfg-options`` with a config before they are merged into it.

    Raises:
        ValueError: for a key at the top that nothing reads. A variable of the config file is one:
            where it was used, its value has been put in already.
    """
    config = cfg.to_dict()
    for key in options:
        top = key.split('.')[0]
        if top in KNOWN:
            continue
        places = [place for place in _places(config, top) if '.' in place]
        if places:
            where = f'; it is at {", ".join(places[:4])}'
        elif key in OLD:
            where = f', expected {OLD[key]}'
        else:
            where = suggest(top, MEANT)
        raise ValueError(
            f'--cfg-options {key}: nothing reads {top!r} at the top of a config{where}'
        )


def _places(value: Any, key: str, path: str = '') -> Iterator[str]:
    """Paths of all entries of a name."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            here = f'{path}.{name}' if path else str(name)
            if name == key:
                yield here
            yield from _places(inner, key, here)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _places(inner, key, f'{path}.{number}')


def _top_level(config: dict) -> Iterator[str]:
    for key, value in config.items():
        if key in KNOWN:
            continue
        read = _used_elsewhere(key, value, config)
        near = difflib.get_close_matches(key, MEANT, 1, 0.85)
        # A number or text may be a variable of the config's own, as in max_epochs=total_epochs.
        old = key in OLD and (isinstance(value, (Mapping, list)) or key == 'resume_from')
        if old and value and not read:
            yield f'{key}: nothing reads it, expected {OLD[key]}'
        elif near and not read:
            yield f'{key}: nothing reads it, did you mean {near[0]!r}?'
        elif key.endswith(ENDINGS) and isinstance(value, Mapping) and not read:
            yield f'{key}: nothing reads it at the top of a config{suggest(key, MEANT)}'


def _used_elsewhere(key: str, value: Any, config: dict) -> bool:
    """Whether a variable's value may have been used: as it is, or a dict of its type or content."""
    if not isinstance(value, (Mapping, list, tuple)) or not value:
        return False
    others = [inner for name, inner in config.items() if name != key]
    return any(_alike(value, part) for part in _all_parts(others))


def _alike(value: Any, part: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(part, Mapping):
        return value == part
    if 'type' in value:
        return value['type'] == part.get('type')
    return all(name in part and part[name] == inner for name, inner in value.items())


def _all_parts(value: Any) -> Iterator[Any]:
    yield value
    inner = value.values() if isinstance(value, Mapping) else value
    for part in inner:
        if isinstance(part, (Mapping, list, tuple)):
            yield from _all_parts(part)


class _Parts:
    """Walks through the places of a config where classes are named, registry by registry."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    def wrong(self, config: dict) -> Iterator[str]:
        """All wrong names and arguments."""
        for key in ('model', 'data_preprocessor', 'tta_model'):
            yield from self.part(config.get(key), key, root.MODELS)
        for split in SPLITS:
            yield from self.loader(config.get(f'{split}_dataloader'), f'{split}_dataloader')
            yield from self.listed(
                config.get(f'{split}_evaluator'), f'{split}_evaluator', root.METRICS
            )
            yield from self.loop(config.get(f'{split}_cfg'), split)
        yield from self.listed(config.get('custom_hooks'), 'custom_hooks', root.HOOKS, ['priority'])
        yield from self.hooks(config.get('default_hooks'))
        yield from self.optimiser(config.get('optim_wrapper'))
        schedulers = config.get('param_scheduler')
        others = ['convert_to_iter_based', 'epoch_length']
        yield from self.listed(schedulers, 'param_scheduler', root.PARAM_SCHEDULERS, others)
        yield from self.part(
            config.get('log_processor'), 'log_processor', root.LOG_PROCESSORS, default=LogProcessor
        )
        for key, names in STRICT.items():
            yield from _unknown(config.get(key), key, names)

    def find(self, kind: Any, registry: Registry) -> type | None:
        """The class behind a ``type``; None for what is no class, or not known here."""
        if isinstance(kind, type):
            return kind
        if not isinstance(kind, str):
            return None
        try:
            with registry.switch_scope_and_registry(self.scope) as here:
                found = here.get(kind)
        except Exception:  # whatever the import of another package raises, it will do when built
            return None
        return found if isinstance(found, type) else None

    def part(
        self,
        value: Any,
        path: str,
        registry: Registry,
        others: Collection[str] = (),
        default: type | None = None,
    ) -> Iterator[str]:
        """A dict of a class and its arguments, and those in its arguments."""
        if isinstance(value, (list, tuple)):
            for number, inner in enumerate(value):
                yield from self.part(inner, f'{path}.{number}', registry)
        if not isinstance(value, Mapping):
            return
        yield from self.arguments(value, path, registry, others, default)
        for key, inner in value.items():
            if not str(key).endswith('_cfg'):  # dict(type='BN'): named in other registries
                yield from self.part(inner, f'{path}.{key}', registry)

    def arguments(
        self,
        value: Mapping,
        path: str,
        registry: Registry,
        others: Collection[str] = (),
        default: type | None = None,
    ) -> Iterator[str]:
        """A dict of a class and its arguments, not those in them."""
        kind = value.get('type')
        cls = default if kind is None else self.find(kind, registry)
        if cls is not None:
            yield from wrong_arguments(cls, value, path, others)
        elif isinstance(kind, str) and kind.startswith('mmmlc.'):
            yield from _unknown_type(kind, path, registry)

    def listed(
        self, value: Any, path: str, registry: Registry, others: Collection[str] = ()
    ) -> Iterator[str]:
        """One dict or a list of them."""
        many = isinstance(value, (list, tuple))
        for number, inner in enumerate(value if many else [value]):
            where = f'{path}.{number}' if many else path
            yield from self.part(inner, where, registry, others)

    def loader(self, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            return
        yield from _unknown(value, path, LOADER)
        yield from self.dataset(value.get('dataset'), f'{path}.dataset')
        for key in ('sampler', 'batch_sampler'):
            yield from self.part(value.get(key), f'{path}.{key}', root.DATA_SAMPLERS)

    def dataset(self, value: Any, path: str) -> Iterator[str]:
        """A data set, its pipeline, and those that it wraps."""
        if isinstance(value, (list, tuple)):
            for number, inner in enumerate(value):
                yield from self.dataset(inner, f'{path}.{number}')
        if isinstance(value, Mapping):
            yield from self.arguments(value, path, root.DATASETS)
            yield from self.part(value.get('pipeline'), f'{path}.pipeline', root.TRANSFORMS)
            for key in ('dataset', 'datasets'):
                yield from self.dataset(value.get(key), f'{path}.{key}')

    def loop(self, value: Any, split: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            return
        by_epoch = value.get('by_epoch', True)
        training = EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop
        default = dict(train=training, val=ValLoop, test=TestLoop)[split]
        others = ['by_epoch'] if 'type' not in value and split == 'train' else []
        yield from self.part(value, f'{split}_cfg', root.LOOPS, others, default)

    def hooks(self, value: Any) -> Iterator[str]:
        for key, hook in (value or {}).items():
            near = difflib.get_close_matches(key, HOOK_NAMES, 1, 0.8)
            if near and key not in HOOK_NAMES:
                yield f'default_hooks.{key}: nothing reads it, did you mean {near[0]!r}?'
            yield from self.part(hook, f'default_hooks.{key}', root.HOOKS, ['priority'])

    def optimiser(self, value: Any) -> Iterator[str]:
        if not isinstance(value, Mapping) or 'constructor' in value:
            return
        path, others = 'optim_wrapper', ('optimizer', 'paramwise_cfg')
        flat = {key: inner for key, inner in value.items() if key != 'optimizer'}
        yield from self.part(flat, path, root.OPTIM_WRAPPERS, others, OptimWrapper)
        yield from self.part(value.get('optimizer'), f'{path}.optimizer', root.OPTIMIZERS)


def _unknown(value: Any, path: str, known: Collection[str]) -> Iterator[str]:
    for key in value if isinstance(value, Mapping) else ():
        if key not in known and not str(key).startswith('_'):
            yield f'{path}.{key}: nothing reads it{suggest(key, known)}'


def _unknown_type(kind: str, path: str, registry: Registry) -> Iterable[str]:
    node = registry.children.get('mmmlc')
    known = [] if node is None else [f'mmmlc.{name}' for name in node.module_dict]
    if node is not None and kind not in known:
        yield f'{path}.type is {kind!r}, which is not registered{suggest(kind, known)}'
