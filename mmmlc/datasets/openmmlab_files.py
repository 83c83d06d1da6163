"""Annotation files in OpenMMLab's format, read without running what they hold."""

from __future__ import annotations

import io

import yaml
from mmengine import fileio

from mmmlc import safe_pickle
from mmmlc.neutral import safe_line

from .text_files import decode, read_json


def read_openmmlab(path: str) -> tuple[dict, list]:
    """``metainfo`` and ``data_list`` of a JSON, YAML or pickle file.

    Raises:
        ValueError: another ending, broken content, another structure, or a pickle or YAML that
            names anything but plain data.
    """
    content = _content(path)
    if not isinstance(content, dict) or not {'metainfo', 'data_list'} <= content.keys():
        raise ValueError(
            f'{path} is not in OpenMMLab format: expected an object with metainfo and data_list'
        )
    metainfo, entries = content['metainfo'], content['data_list']
    if not isinstance(metainfo, dict) or not isinstance(entries, list):
        raise ValueError(f'{path}: expected metainfo to be an object and data_list a list')
    return metainfo, entries


def _content(path: str) -> object:
    ending = path.rpartition('.')[2].lower()
    if ending == 'json':
        return read_json(path)
    if ending in ('yml', 'yaml'):
        try:
            return yaml.safe_load(decode(path, fileio.get(path)))
        except (yaml.YAMLError, RecursionError) as error:
            raise ValueError(f'{path} is not YAML of plain data: {safe_line(error)}') from error
    if ending in ('pkl', 'pickle'):
        try:
            return safe_pickle.load(io.BytesIO(fileio.get(path)))
        except Exception as error:  # unpickling raises anything
            raise ValueError(f'{path} is not a pickle of plain data: {error}') from error
    raise ValueError(f'{path}: expected a file .json, .yaml or .pkl')
