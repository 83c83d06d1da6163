"""The folder of a model that is ready: where it lies, what is in it, how it is written."""

from __future__ import annotations

import contextlib
import copy
import difflib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from torch import Tensor

from mmmlc.engine.checkpoints import save_tensors
from mmmlc.engine.prepare import parts_of, without_pretrained
from mmmlc.neutral import safe_line
from mmmlc.whole_files import put_in_place, remove

CONFIG, WEIGHTS, CARD = 'config.py', 'model.safetensors', 'README.md'
#: Environment variable of further folders of models, separated as in ``PATH``.
VARIABLE = 'MMMLC_MODELS'
CHECKOUT = Path(__file__).resolve().parents[2] / 'models'
# What a test reads of a config.
_KEPT = (
    *('default_scope', 'custom_imports', 'model', 'data_preprocessor', 'test_dataloader'),
    *('test_evaluator', 'test_cfg', 'env_cfg'),
)


def model_places() -> list[Path]:
    """Folders of models: those of ``$MMMLC_MODELS``, then ``models`` in the checkout."""
    named = [Path(place) for place in os.environ.get(VARIABLE, '').split(os.pathsep) if place]
    return [*named, CHECKOUT]


def model_names() -> list[str]:
    """Names of the models that are there."""
    found = {path.parent.name for place in model_places() for path in place.glob(f'*/{CONFIG}')}
    return sorted(found)


def find_folder(name: str | Path) -> Path:
    """The folder of a model, by its name or path.

    Args:
        name: A name in one of :func:`model_places`, the first of them that has it; or a folder.

    Raises:
        FileNotFoundError: if there is none; names those that are there, and the nearest.
    """
    places = model_places()
    for folder in [*(place / name for place in places), Path(name)]:
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    text = str(name)
    if Path(text).is_dir():
        missing = [file for file in (CONFIG, WEIGHTS) if not Path(text, file).is_file()]
        raise FileNotFoundError(f'{text} has no {", ".join(missing)}: it is no folder of a model')
    names = model_names()
    near = difflib.get_close_matches(Path(text).name, names, 1, 0.5)
    hint = f', did you mean {near[0]!r}?' if near else ':'
    where = ', '.join(map(str, places))
    raise FileNotFoundError(
        f"no model '{safe_line(text)}'{hint} there are {names or 'none'} in {where}; a path of a "
        'folder is taken, too'
    )


@contextlib.contextmanager
def new_folder(folder: str | Path, replace: bool = False) -> Iterator[Path]:
    """A folder to write to, which becomes the folder of a model at the end, whole.

    Args:
        folder: Its name is the model's.
        replace: Whether a folder of a model may be replaced.

    Raises:
        FileExistsError: if there is a folder with anything in it that may not be replaced.
    """
    folder = Path(folder)
    check_free(folder, replace)
    part = folder.with_name(f'.{folder.name}.{os.getpid()}.part')
    part.mkdir(parents=True)
    try:
        yield part
        put_in_place(part, folder)
    finally:
        if part.exists():
            remove(part)


def write_model(
    part: Path,
    name: str,
    cfg: Config,
    state: dict[str, Tensor],
    classes: Sequence[str],
    half: bool = False,
) -> None:
    """Write weights and config into a folder.

    Args:
        part: Of :func:`new_folder`.
        name: Path that the folder will have.
        cfg: Of the model, with ``test_dataloader``; what only a training needs is left out.
        state: Weights of ``cfg.model``.
        classes: Names of the C classes.
        half: Store matrices and kernels as float16. What has one number per channel or class
            (norms, biases, thresholds) stays as it is.
    """
    if half:
        state = {
            key: value.half() if value.ndim > 1 and value.is_floating_point() else value
            for key, value in state.items()
        }
    save_tensors(state, classes, part / WEIGHTS)
    (part / CONFIG).write_text(config_text(cfg, Path(name)), encoding='utf-8')


def check_free(folder: Path, replace: bool) -> None:
    """Raise FileExistsError unless a model may be written to a folder."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise FileExistsError(f'{folder} is there, and is no folder of a model: name another one')
    if not replace:
        raise FileExistsError(f'{folder} is there: name another folder, or replace it (--force)')


def config_text(cfg: Config, folder: Path) -> str:
    """The text of ``config.py``: what a test needs, without weights that would be fetched."""
    kept = {key: copy.deepcopy(cfg[key]) for key in _KEPT if cfg.get(key) is not None}
    kept['custom_hooks'] = [dict(type='mmmlc.VocabularyHook')]
    kept['work_dir'] = f'work_dirs/{folder.name}'
    config = Config(kept)
    without_weights(config.model)
    head = (
        f'# {safe_line(folder.name)}, a model that is ready: {CARD} says what it is.\n'
        f'#   python tools/test.py {folder / CONFIG} {folder / WEIGHTS}\n'
    )
    return head + config.pretty_text


def without_weights(model: dict) -> None:
    """Take from the config of a model what would be fetched or read when it is built."""
    without_pretrained(model)
    for part in parts_of(model):
        if part.get('pretrained'):  # of timm's backbones a switch, of others an address
            part['pretrained'] = False if part.get('type') == 'mmmlc.TIMMFeatureMap' else None
