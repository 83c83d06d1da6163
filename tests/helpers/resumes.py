"""Killed and resumed trainings of the toy configs, of tools/kill_and_resume.py."""

from __future__ import annotations

import sys
from pathlib import Path

from helpers.places import ROOT

sys.path.append(str(ROOT / 'tools'))

from resumes.runs import Training, differences, random_moments, state_of
from resumes.toys import toy_config, write_toys

__all__ = ['differences', 'kill_and_resume', 'state_of', 'toy_config', 'write_toys']


def kill_and_resume(config: str, folder: Path, kills: int = 1, seed: int = 0, **options) -> None:
    """Fail if a training that is killed differs from one that is not, by as little as a bit.

    Args:
        config: Below ``configs/``.
        folder: An empty one.
        kills: How often, at random moments.
        seed: Of the moments.
        **options: See :func:`resumes.toys.toy_config`, of both trainings.
    """
    data = write_toys(folder)
    path = ROOT / 'configs' / config
    whole = Training(toy_config(path, data, folder / 'whole', **options))
    expected = whole.run()
    moments = random_moments(whole.durations(), kills, seed)
    workers = {f'train_dataloader__{k}': v for k, v in WORKERS.items()}
    cfg = toy_config(path, data, folder / 'killed', **options, **workers)
    found = Training(cfg).run(moments)
    assert found.kills == kills, f'finished before {moments[-1]}'
    assert expected.final['logs'] and expected.final['counts'] == (3, 9)
    assert differences(expected.final, found.final) == []


WORKERS = dict(num_workers=2, persistent_workers=True)
