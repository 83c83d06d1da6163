"""Write everything that is made from the numbers in configs/*/metafile.yml.

python tools/ledger.py            # after a change of a metafile or a sweep's results
python tools/ledger.py --check    # is anything stale?

That is: the numbers of sweeps in the metafiles themselves, the tables between
``<!-- numbers:NAME begin -->`` and ``end`` of README and docs, and model-index.yml.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from metafiles.pages import pages, with_tables
from metafiles.read import read_metafiles
from metafiles.runs import with_numbers_of_runs

INDEX = '# Written by tools/ledger.py: all metafiles, for mim and mmpretrain.\nImport:\n'


def stale(root: Path, write: bool = False) -> list[Path]:
    """Files that are not what the numbers make of them; ``write`` puts them right.

    Raises:
        ValueError: for a wrong metafile, source or marker.
    """
    changed = []

    def compare(path: Path, text: str) -> None:
        if path.is_file() and path.read_text(encoding='utf-8') == text:
            return
        changed.append(path)
        if write:
            path.write_text(text, encoding='utf-8')

    metafiles = sorted(root.glob('configs/*/metafile.yml'))
    for path in metafiles:
        try:
            text = with_numbers_of_runs(path.read_text(encoding='utf-8'), root)
        except (ValueError, OSError) as error:
            raise ValueError(f'{path}: {error}') from error
        compare(path, text)
    systems = read_metafiles(root)
    lines = ''.join(f'  - {path.relative_to(root).as_posix()}\n' for path in metafiles)
    compare(root / 'model-index.yml', INDEX + lines)
    for page in pages(root):
        compare(page, with_tables(page.read_text(encoding='utf-8'), systems, f'{page}'))
    return changed


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--check', action='store_true', help='only compare; 1 if anything is stale')
    args = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    try:
        changed = [str(path.relative_to(root)) for path in stale(root, write=not args.check)]
    except ValueError as error:
        sys.exit(str(error))
    if args.check and changed:
        sys.exit(f'stale: {", ".join(changed)}: run python tools/ledger.py')
    print('\n'.join(f'wrote {path}' for path in changed) or 'nothing is stale')


if __name__ == '__main__':
    main()
