"""The command ``mmmlc``: the tools of ``tools/``, by name, from any folder.

Each is a file of the checkout, or of the installed package's ``.mim``, and is run as such: what
``mmmlc train --help`` says is what ``python tools/train.py --help`` says.
"""

from __future__ import annotations

import difflib
import runpy
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# Name, file, what it does, and an example.
COMMANDS = {
    'train': ('train.py', 'train a model', 'configs/finetune/mcar_r50_own.py'),
    'test': ('test.py', 'evaluate a checkpoint', 'CONFIG CHECKPOINT --out results'),
    'predict': ('predict.py', 'name what is in photographs', 'coco80_lite0 photos --out a.html'),
    'make-model': ('make_model.py', 'a model from labels', 'labels.csv --images photos --out m'),
    'compare': ('compare.py', 'is one method better than another?', '--a runs/a/* --b runs/b/*'),
    'check-data': ('check_data.py', 'faults of the data of a config', 'CONFIG --out report'),
    'thresholds': (
        'tune_thresholds.py',
        'a threshold per class',
        'CONFIG FILE OUT --split val',
    ),
    'proposals': ('extract_proposals.py', 'region proposals of images', 'CONFIG voc07.prop'),
    'mine': ('mine_parts.py', 'mine part detectors', 'CONFIG OUT.npz --checkpoint FILE'),
    'svm': ('svm_eval.py', 'linear classifiers on features', 'CONFIG CHECKPOINT --out DIR'),
    'config': ('print_config.py', 'a config with all that it inherits', 'CONFIG'),
}


def usage() -> str:
    """What ``mmmlc --help`` prints."""
    rows = [f'  {name:<11} {text}' for name, (_, text, _) in COMMANDS.items()]
    examples = [f'  mmmlc {name} {words}' for name, (_, _, words) in COMMANDS.items()]
    parts = ('usage: mmmlc COMMAND ...   (mmmlc COMMAND --help)', '', *rows, '', 'examples:')
    return '\n'.join((*parts, *examples))


def tools_folder() -> Path:
    """Where the tools lie: in the installed package, or beside it in the checkout.

    Raises:
        FileNotFoundError: if they are in neither.
    """
    for folder in (PACKAGE / '.mim/tools', PACKAGE.parent / 'tools'):
        if (folder / 'train.py').is_file():
            return folder
    raise FileNotFoundError(f'no tools in {PACKAGE / ".mim/tools"}: install mmmlc again')


def main(arguments: list[str] | None = None) -> None:
    """Run a command."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ('-h', '--help', 'help'):
        print(usage())
        return
    name = words[0]
    if name == '--version':
        from mmmlc import __version__

        print(__version__)
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1, 0.5)
        hint = f', did you mean {near[0]!r}?' if near else ''
        sys.exit(f'mmmlc: no command {name!r}{hint} There are {", ".join(COMMANDS)}.')
    folder = tools_folder()
    path = folder / COMMANDS[name][0]
    sys.path.insert(0, str(folder))  # as Python does for a script
    sys.argv = [str(path), *words[1:]]
    runpy.run_path(str(path), run_name='__main__')


if __name__ == '__main__':
    main()
