"""``configs/*/metafile.yml``: models with their published and measured numbers, read and checked.

The format is that of OpenMMLab's model index, which mim and mmpretrain read, with the keys that
docs/results/README.md describes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from strict_yaml import check_keys, read_yaml

TOLERANCE = 0.5  # points
STATES = ('reproduced', 'differs', 'not run', 'no command yet', "others' system")
TASK = 'Multi-Label Image Classification'

COLLECTION = ('Name', 'Paper', 'README', 'Code', 'Metadata', 'Published')
MODEL = ('Name', 'In Collection', 'Config', 'Metadata', 'Published', 'Results', 'Weights')
PUBLISHED = ('Setting', 'Dataset', 'Metrics', 'Table', 'Ablation', 'Commands', 'No Command')
PUBLISHED += ('Not Ours', 'Remark')
RESULT = ('Task', 'Dataset', 'Setting', 'Options', 'Source', 'Metrics', 'Spread', 'Baseline')
RESULT += ('Difference', 'Seeds', 'Finished', 'Commits', 'Commands', 'Summary', 'Remark')


@dataclass(frozen=True)
class Published:
    """One published number."""

    collection: str
    setting: str
    data: str
    measure: str
    value: float  # percent
    where: str  # table of the paper
    ablation: bool
    command: str  # that would reproduce it; '' if there is none
    remark: str  # also why there is no command
    not_ours: bool
    measured: float | None

    @property
    def state(self) -> str:
        """One of ``STATES``."""
        if self.not_ours:
            return "others' system"
        if self.measured is not None:
            near = abs(self.measured - self.value) <= TOLERANCE + 1e-9
            return 'reproduced' if near else 'differs'
        return 'not run' if self.command else 'no command yet'


@dataclass(frozen=True)
class Result:
    """What was measured of a model on some images."""

    data: str
    setting: str
    options: str  # config overrides; '' for the config as it is
    metrics: dict[str, float]  # percent
    spread: dict[str, float]  # sample standard deviation over the seeds
    baseline: str  # the plain baseline beside it, mean ± deviation; '' if there is none
    difference: str  # to that baseline, seed by seed
    seeds: str
    command: str
    source: str  # JSON file of a sweep and run; '' if entered by hand
    summary: bool  # whether the README shows it
    remark: str


@dataclass(frozen=True)
class Model:
    """A config."""

    name: str
    collection: str
    config: str
    data: str
    setting: str
    published: tuple[Published, ...]
    results: tuple[Result, ...]


@dataclass(frozen=True)
class System:
    """A metafile."""

    path: Path
    name: str  # of its folder
    collections: tuple[str, ...]
    models: tuple[Model, ...]
    unconfigured: tuple[Published, ...]  # published numbers without a config

    @cached_property
    def published(self) -> tuple[Published, ...]:
        """All published numbers, by collection in the order of the file."""
        rows = [row for model in self.models for row in model.published] + [*self.unconfigured]
        return tuple(sorted(rows, key=lambda row: self.collections.index(row.collection)))


def read_metafiles(root: Path) -> list[System]:
    """All metafiles of a checkout, in the order of their folders."""
    return [read_metafile(path) for path in sorted(root.glob('configs/*/metafile.yml'))]


def read_metafile(path: Path) -> System:
    """Read one.

    Raises:
        ValueError: what is not described in docs/results/README.md; names file, entry and key.
    """
    content = read_yaml(path)
    check_keys(f'{path}', content, ('Collections', 'Models'), ('Collections',))
    collections, unconfigured = [], []
    for index, entry in enumerate(content['Collections']):
        where = f'{path}: Collections[{index}]'
        check_keys(where, entry, COLLECTION, ('Name',))
        collections.append(entry['Name'])
        for i, row in enumerate(entry.get('Published') or []):
            unconfigured += _published(f'{where}: Published[{i}]', row, entry['Name'], '', ())
    models = [
        _model(f'{path}: Models[{index}]', entry, collections)
        for index, entry in enumerate(content.get('Models') or [])
    ]
    return System(path, path.parent.name, tuple(collections), tuple(models), tuple(unconfigured))


def _model(where: str, entry: dict, collections: list[str]) -> Model:
    check_keys(where, entry, MODEL, ('Name', 'In Collection', 'Config', 'Metadata'))
    collection, config = entry['In Collection'], entry['Config']
    if collection not in collections:
        raise ValueError(f'{where}: In Collection {collection!r}, expected one of {collections}')
    if entry['Name'] != Path(config).stem:
        raise ValueError(f'{where}: Name {entry["Name"]!r}, expected that of {config}')
    check_keys(f'{where}: Metadata', entry['Metadata'], ('Training Data', 'Setting'))
    results = [
        _result(f'{where}: Results[{i}]', row) for i, row in enumerate(entry.get('Results') or [])
    ]
    for data in {result.data for result in results}:
        of_data = [result.options for result in results if result.data == data]
        if '' in of_data[:-1]:
            # mim shows the last one of a data set.
            raise ValueError(f'{where}: Results on {data}: the one without Options must be last')
    published = []
    for i, row in enumerate(entry.get('Published') or []):
        published += _published(f'{where}: Published[{i}]', row, collection, config, results)
    data, setting = (entry['Metadata'].get(key, '') for key in ('Training Data', 'Setting'))
    name = entry['Name']
    return Model(name, collection, config, data, setting, tuple(published), tuple(results))


def _published(
    where: str, row: dict, collection: str, config: str, results: list[Result] | tuple
) -> list[Published]:
    check_keys(where, row, PUBLISHED, ('Setting', 'Dataset', 'Metrics'))
    commands, reason, others = (row.get(key) for key in ('Commands', 'No Command', 'Not Ours'))
    if sum(map(bool, (commands, reason, others))) > 1:
        raise ValueError(f'{where}: expected one of Commands, No Command and Not Ours')
    if not config and not (commands or reason or others):
        raise ValueError(f'{where}: no config: expected Commands, No Command or Not Ours')
    if not (commands or reason or others):
        commands = [f'python tools/train.py {config}']
    measured = {
        measure: value
        for result in results
        if (result.setting, result.data) == (row['Setting'], row['Dataset'])
        for measure, value in result.metrics.items()
    }
    remark = '; '.join(filter(None, (reason, others, row.get('Remark'))))
    return [
        Published(
            collection=collection,
            setting=row['Setting'],
            data=row['Dataset'],
            measure=measure,
            value=value,
            where=str(row.get('Table', '')),
            ablation=bool(row.get('Ablation')),
            command=' && '.join(commands or ()),
            remark=remark,
            not_ours=bool(others),
            measured=measured.get(measure),
        )
        for measure, value in _percentages(f'{where}: Metrics', row['Metrics']).items()
    ]


def _result(where: str, row: dict) -> Result:
    check_keys(where, row, RESULT, ('Task', 'Dataset', 'Setting', 'Metrics'))
    if row['Task'] != TASK:
        raise ValueError(f'{where}: Task is {row["Task"]!r}, expected {TASK!r}')
    if not (row.get('Source') or row.get('Commands')):
        raise ValueError(f'{where}: expected a Source or Commands')
    return Result(
        data=row['Dataset'],
        setting=row['Setting'],
        options=row.get('Options', ''),
        metrics=_percentages(f'{where}: Metrics', row['Metrics']),
        spread=_percentages(f'{where}: Spread', row.get('Spread') or {}),
        baseline=str(row.get('Baseline', '')),
        difference=str(row.get('Difference', '')),
        seeds=str(row.get('Seeds', '')),
        command=' && '.join(row.get('Commands') or ()),
        source=row.get('Source', ''),
        summary=bool(row.get('Summary')),
        remark=row.get('Remark', ''),
    )


def _percentages(where: str, numbers: object) -> dict[str, float]:
    if not isinstance(numbers, dict):
        raise ValueError(f'{where} is {numbers!r}, expected measures and numbers')
    for measure, value in numbers.items():
        if type(value) not in (int, float) or not 0 <= value <= 100:
            raise ValueError(f'{where}: {measure} is {value!r}, expected a number from 0 to 100')
    return numbers
