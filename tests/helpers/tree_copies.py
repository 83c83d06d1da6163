"""Copies of the checkout that may be changed, and programs that run in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .places import ROOT


def tracked_files() -> list[str]:
    """Files of the checkout, as git lists them, or of an unpacked source distribution, all."""
    if (ROOT / '.git').exists():
        listed = subprocess.run(
            ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return [name for name in listed.stdout.split('\0') if name and (ROOT / name).is_file()]
    skipped = {'__pycache__', '.venv', 'data', 'work_dirs', 'build', 'dist'}
    found = (path.relative_to(ROOT) for path in ROOT.rglob('*') if path.is_file())
    return [str(path) for path in found if not skipped & set(path.parts[:-1])]


def copy_tree(folder: Path) -> Path:
    """Copy the tracked files to a new folder."""
    for name in tracked_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return folder


def run_in(tree: Path, *words: object) -> str:
    """Run Python in a copy, which comes before every other mmmlc; the output, if all went well."""
    changes = dict(PYTHONPATH=str(tree), PYTHONDONTWRITEBYTECODE='1', LOCAL_RANK='0')
    # Two of them side by side, each with threads for every core, take three times as long.
    changes['OMP_NUM_THREADS'] = '1'
    result = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=tree,
        env=os.environ | changes,
        capture_output=True,
        text=True,
    )
    output = result.stdout + result.stderr
    assert result.returncode == 0, output[-6000:]
    return output
