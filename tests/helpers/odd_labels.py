"""Annotation files that are odd, hostile or broken, and what has to come of each.

A case writes files into a folder and builds a data set from them. What must come is either a text,
a pattern of the error, or a function of the data set that is true when it was read right.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from mmmlc.datasets import NUSWIDE, VOC, CocoMultiLabel, MultiLabelDataset, OwnLabels

Right = Callable[[Any], bool]


@dataclass(frozen=True)
class Odd:
    """One input: ``files`` by name, the data set's type and options, and what is expected."""

    name: str
    files: dict[str, bytes]
    kind: type
    options: dict
    expected: str | Right
    warned: str = ''
    images: tuple[str, ...] = field(default=())


def infos(dataset: Any) -> list[dict]:
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def build(case: Odd, folder: Path) -> Any:
    """Write the files of a case and build its data set."""
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name in case.images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (4, 4)).save(folder / name)
    options = {
        key: value.replace('<folder>', str(folder)) if isinstance(value, str) else value
        for key, value in case.options.items()
    }
    return case.kind(**options)


def _texts(*names: str) -> Right:
    return lambda dataset: tuple(dataset.metainfo['classes']) == names


def _paths(*ends: str) -> Right:
    def right(dataset: Any) -> bool:
        found = [info['img_path'] for info in infos(dataset)]
        return len(found) == len(ends) and all(map(str.endswith, found, ends))

    return right


# --- label files of one's own


def csv_case(name: str, text: str | bytes, expected: str | Right, warned: str = '', **more) -> Odd:
    data = text if isinstance(text, bytes) else text.encode()
    options = {'ann_file': 'a.csv', 'data_root': '<folder>', **more}
    return Odd(f'csv {name}', {'a.csv': data}, OwnLabels, options, expected, warned)


def lines_case(name: str, text: str | bytes, expected: str | Right, **more) -> Odd:
    data = text if isinstance(text, bytes) else text.encode()
    options = {'ann_file': 'a.jsonl', 'data_root': '<folder>', **more}
    return Odd(f'jsonl {name}', {'a.jsonl': data}, OwnLabels, options, expected)


def _rows(*labels: str) -> str:
    return 'path,labels\n' + ''.join(f'{i}.jpg,{label}\n' for i, label in enumerate(labels))


def joined_labels(mark: str, seed: int) -> str:
    """Random subsets of five classes, joined by a mark."""
    draw = random.Random(seed)
    names = ['lamp', 'cat', 'sofa', 'tree', 'dog']
    rows = [draw.sample(names, draw.choice([1, 1, 2, 2, 3])) for _ in range(40)]
    return 'path\tlabels\n' + ''.join(f'{i}.jpg\t{mark.join(row)}\n' for i, row in enumerate(rows))


def own_labels() -> Iterator[Odd]:
    for seed in range(5):
        for mark in (' ', ',', '|', '/', '+'):
            text = joined_labels(mark, seed)
            message = rf'a.csv: line \d+ .*looks like a list.*Give separator={mark!r}'.replace(
                "'|'", r"'\|'").replace("'+'", r"'\+'")  # fmt: skip
            yield csv_case(f'labels joined by {mark!r}, {seed}', text, message)
    yield csv_case('words', _rows('fire truck', 'hot dog', 'hot dog;fire truck'),
                   _texts('fire truck', 'hot dog'))  # fmt: skip
    for text in ("\"['lamp', 'cat']\"", "['lamp']", '[lamp]', "\"('lamp', 'cat')\"",
                 "\"{'lamp'}\"", "\"['lamp' 'cat']\""):  # fmt: skip
        yield csv_case(f'printed {text}', _rows('cat', text), r'a.csv: line 3 .*printed list.*join')
    yield csv_case('printed lists, comma', _rows("\"['lamp', 'cat']\""), 'line 2 .*printed list',
                   separator=',')  # fmt: skip
    for word in ('nan', 'NaN', 'None', 'null', 'NULL', '<NA>', 'NaT', '#N/A'):
        yield csv_case(f'label {word}', _rows('cat', word), rf'line 3 .*{word!r} says .*no value')
        yield csv_case(f'column {word}', f'path,{word},cat\na,1,0\n', f'line 1: .*{word!r} says')
    for word in ('nan', 'NaN', 'None', 'null', 'NULL', '<NA>'):
        yield csv_case(f'path {word}', f'path,labels\n{word},cat\n', 'line 2: .*says that there is')
    yield csv_case('label none', _rows('cat', 'none'), _texts('cat', 'none'), "'none' may say")
    for first, second in (
        ('Cat', 'cat'),
        ('CAT', 'Cat'),
        ('caf\u00e9', 'cafe\u0301'),
        ('cat', 'cat\u200b'),
        ('cat', '\ufeffcat'),
        ('hot dog', 'hot  dog'),
        ('hot dog', 'hot\u00a0dog'),
        ('\uac00', '\u1100\u1161'),
    ):
        message = r'line \d .*are one name.*rename='
        yield csv_case(f'twins {ascii(first)} {ascii(second)}', _rows(first, second), message)
        table = f'path,{first},{second}\na,1,0\nb,0,1\n'
        yield csv_case(f'twin columns {ascii(first)} {ascii(second)}', table, 'line 1.*one name')
        yield csv_case(f'told twins {ascii(first)} {ascii(second)}', _rows(first, second),
                       _texts(first, second), classes=[first, second])  # fmt: skip
    yield csv_case('blanks around', _rows(' cat', 'cat ', 'cat;'), _texts('cat'))
    yield csv_case('underline', _rows('hot_dog', 'hot dog'), _texts('hot dog', 'hot_dog'),
                   'look like one name')  # fmt: skip
    yield csv_case('floats', _rows('1.0', '2.0'), _texts('1.0', '2.0'), 'numbers with a fraction')
    index = ',path,cat\n0,a.jpg,1\n1,b.jpg,0\n'
    yield csv_case(
        'pandas index', index, "line 1: column 1 has no name.*rename={'': None}.*classes"
    )
    yield csv_case('pandas index dropped', index, _texts('cat'), classes=['cat'])
    yield csv_case(
        'read index', index.replace(',path', 'Unnamed: 0,path', 1), "'Unnamed: 0' is .*pandas"
    )
    splits = 'path,labels,split\na,x,train\nb,x,Train\n'
    yield csv_case('Split', splits, "line 3.*'train' and 'Train'",
                   split='train')  # fmt: skip
    for encoding in ('utf-8-sig', 'utf-16', 'utf-32'):
        yield csv_case(encoding, 'path,labels\nä.jpg,猫;ü\n'.encode(encoding), _texts('ü', '猫'))
        yield lines_case(
            encoding, '{"path": "ä", "labels": ["猫"]}\n'.encode(encoding), _texts('猫')
        )
    for encoding in ('cp1252', 'gbk', 'shift_jis', 'utf-16-be'):
        text = 'path,labels\nä,é\n' if encoding == 'cp1252' else 'path,labels\na,山川\n'
        yield csv_case(encoding, text.encode(encoding), r'a.csv: line \d')
    for path in (
        './a.jpg',
        'x/../a.jpg',
        'x//../a.jpg',
        '.\\a.jpg',
        'x\\..\\a.jpg',
        'y/./../a.jpg',
    ):
        yield csv_case(
            f'twice {path}', f'path,labels\na.jpg,x\n{path},x\n', 'line 3 repeats the image'
        )
        yield csv_case(f'alone {path}', f'path,labels\n{path},x\n', _paths('/a.jpg'))
    yield csv_case('back-slashes', 'path,labels\nd\\e\\a.jpg,x\n', _paths('/d/e/a.jpg'))

    def in_csv(path: str, **more: Any) -> Odd:
        return csv_case(f'path {path}', f'path,labels\n{path},x\n', more.pop('expected'), **more)

    yield from _outside(in_csv, 'a.csv: line 2')
    for path in ('a\0.jpg', '\\ud800.jpg'):
        line = '{"path": "' + path.replace('\0', '\\u0000') + '", "labels": ["x"]}'
        yield lines_case(f'path {ascii(path)}', line, r'a.jsonl: line 1: the path .*(NUL|UTF-16)')
    yield lines_case(
        'label with half a pair', '{"path": "a", "labels": ["\\ud800"]}', 'line 1.*UTF-16'
    )
    yield lines_case('empty label', '{"path": "a", "labels": ["x", ""]}', "line 1: labels holds ''")
    yield lines_case(
        'key twice', '{"path": "a", "labels": [], "path": "b"}', "line 1 .*'path' twice"
    )
    yield lines_case(
        'deep', '{"path": "a", "labels": %s}' % ('[' * 100_000), 'line 1 is nested too'
    )
    yield lines_case(
        'huge integer', '{"path": "a", "labels": [], "n": %s}' % ('9' * 5000), 'line 1 .*integer'
    )
    yield lines_case('NaN', '{"path": "a", "labels": NaN}', 'line 1 holds NaN at line 1 column 25')
    yield lines_case('infinity', '{"path": "a", "labels": [], "x": -Infinity}', 'line 1 holds -Inf')


def _outside(case: Callable[..., Odd], where: str) -> Iterator[Odd]:
    """Paths that lead out of the folder of the data, and those that may."""
    for path in ('/etc/passwd', '../a.jpg', 'x/../../a.jpg', '..\\a.jpg', '../../../../etc/passwd'):
        yield case(path, expected=rf"{where}.*outside of data_root.*outside='files'")
        yield case(path, expected=lambda dataset: len(dataset) == 1, outside='files')
    for path in ('http://x/a.jpg', 'https://x/a.jpg', 's3://b/a.jpg', 'petrel://b/a.jpg',
                 'a:http://x/a.jpg', 'file:///etc/passwd'):  # fmt: skip
        yield case(path, expected=rf"{where}.*is an address.*outside='anywhere'")
        yield case(path, expected=f'{where}.*is an address', outside='files')
    yield case('http://x/a.jpg', expected=lambda d: infos(d)[0]['img_path'] == 'http://x/a.jpg',
               outside='anywhere')  # fmt: skip
    yield case('C:\\photos\\a.jpg', expected=f'{where}.*path of Windows')


# --- COCO


def coco_content(**changes: Any) -> dict:
    content: dict = {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 9, 'height': 9}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 2, 2]}],
        'categories': [{'id': 1, 'name': 'cat'}],
    }
    return content | changes


def coco_case(name: str, content: Any, expected: str | Right, warned: str = '', **more) -> Odd:
    if isinstance(content, dict):
        content = json.dumps(content)
    data = content if isinstance(content, bytes) else content.encode()
    options = {'ann_file': 'a.json', 'data_root': '<folder>', **more}
    return Odd(f'coco {name}', {'a.json': data}, CocoMultiLabel, options, expected, warned)


def _coco_path(path: str, **more: Any) -> Odd:
    images = [{'id': 1, 'file_name': path, 'width': 9, 'height': 9}]
    return coco_case(f'path {path!r}', coco_content(images=images), more.pop('expected'), **more)


def coco() -> Iterator[Odd]:
    yield from _outside(_coco_path, r'a.json: images\[0\]')
    yield _coco_path('d\\e\\a.jpg', expected=_paths('/d/e/a.jpg'))
    yield _coco_path('./d/../a.jpg', expected=_paths('/a.jpg'))
    for path in ('a\0.jpg', '\ud800.jpg', ' ', ''):
        yield _coco_path(path, expected=r'a.json: images\[0\]: the path .*(NUL|UTF-16|empty)')
    two = [{'id': i, 'file_name': name, 'width': 9, 'height': 9}
           for i, name in enumerate(('a.jpg', './a.jpg'), 1)]  # fmt: skip
    notes = [{'id': i, 'image_id': i, 'category_id': 1, 'bbox': [1, 1, 2, 2]} for i in (1, 2)]
    yield coco_case(
        'image twice', coco_content(images=two, annotations=notes), _texts('cat'), 'has the image'
    )
    for names, message in (
        (['Cat', 'cat'], r'categories\[1\].*one name'),
        (['caf\u00e9', 'cafe\u0301'], r'categories\[1\].*one name'),
        (['nan', 'cat'], r'categories\[0\].*no value'),
        (['', 'cat'], r'categories\[0\].*empty'),
        (["['cat']", 'dog'], r'categories\[0\].*printed list'),
        (['cat', 'cat'], "hold .'cat'. more than once.*same_names='merge'"),
        (['\ud800', 'cat'], r'categories\[0\].*UTF-16'),
    ):
        categories = [{'id': i, 'name': name} for i, name in enumerate(names, 1)]
        yield coco_case(f'names {ascii(names)}', coco_content(categories=categories), message)
    group = [{'id': 0, 'name': 'things'}, {'id': 2, 'name': 'things'}, {'id': 1, 'name': 'cat'}]
    yield coco_case(
        'group left out', coco_content(categories=group), _texts('cat'), classes=['cat']
    )
    text = json.dumps(coco_content())
    for encoding in ('utf-8-sig', 'utf-16', 'utf-32'):
        yield coco_case(encoding, text.encode(encoding), _texts('cat'))
    yield coco_case(
        'latin-1', text.replace('cat', 'caté').encode('latin-1'), 'a.json: line 1.*UTF-8'
    )
    yield coco_case('deep', '[' * 1_000_000, 'a.json is nested too deeply.*line 1 column 501')
    yield coco_case(
        'deep inside', text.replace('[1, 1, 2, 2]', '[' * 200_000 + ']' * 200_000), 'nested'
    )
    yield coco_case(
        'huge integer', text.replace('9', '9' * 5000, 1), 'a.json holds an integer.*line 1'
    )
    for value in ('NaN', 'Infinity', '-Infinity'):
        yield coco_case(value, text.replace('9', value, 1), f'a.json holds {value} at line 1')
    yield coco_case(
        'key twice', text.replace('"id": 1,', '"id": 2, "id": 1,', 1), "a.json .*'id' twice.*line 1"
    )
    yield coco_case('categories twice', text[:-1] + ', "categories": []}', "'categories' twice")
    for cut in range(1, len(text), 7):
        yield coco_case(f'cut at {cut}', text[:cut], 'a.json is not JSON')


# --- OpenMMLab's JSON


def json_case(name: str, content: Any, expected: str | Right, file: str = 'a.json', **more) -> Odd:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    options = {'ann_file': file, 'data_root': '<folder>', **more}
    return Odd(f'openmmlab {name}', {file: data}, MultiLabelDataset, options, expected)


def _json_content(path: Any = 'a.jpg', classes: Any = ('cat',), label: Any = (0,)) -> dict:
    return {'metainfo': {'classes': classes}, 'data_list': [{'img_path': path, 'gt_label': label}]}


def openmmlab() -> Iterator[Odd]:
    yield from _outside(
        lambda path, **more: json_case(
            f'path {path}', _json_content(path), more.pop('expected'), **more
        ),
        'a.json: entry 0',
    )
    yield json_case('back-slashes', _json_content('d\\a.jpg'), _paths('/d/a.jpg'))
    yield json_case('dots', _json_content('./d/../a.jpg'), _paths('/a.jpg'))
    for path in ('a\0.jpg', '\ud800.jpg', '', None, 7, ['a.jpg']):
        yield json_case(f'path {path!r}', _json_content(path), 'a.json: entry 0.*img_path')
    for classes, message in (
        ('cat', "classes is 'cat', expected a list"),
        (['Cat', 'cat'], r'classes\[1\].*one name'),
        (['nan', 'cat'], r'classes\[0\].*no value'),
        (['cat', 'cat'], 'more than once'),
        (['cat', ''], 'empty name'),
        ([1, 2], 'hold 1, expected names'),
        (["['cat']"], 'printed list'),
    ):
        yield json_case(f'classes {classes}', _json_content(classes=classes), message)
    yield json_case(
        'told', _json_content(classes=['Cat', 'cat']), _texts('Cat', 'cat'), classes=['Cat', 'cat']
    )
    for content in (
        *({}, [], 7, {'metainfo': {}}, {'metainfo': [], 'data_list': []}),
        *({'metainfo': {}, 'data_list': {}}, {'metainfo': {}, 'data_list': [7]}),
    ):
        yield json_case(f'content {content}', content, 'a.json.*(expected|names no classes)')
    yield json_case('pickle', b"cos\nsystem\n(S'true'\ntR.", 'not a pickle of plain data', 'a.pkl')
    yield json_case(
        'yaml', b'!!python/object/apply:os.system ["true"]', 'not YAML of plain', 'a.yaml'
    )
    yield json_case('utf-16', json.dumps(_json_content()).encode('utf-16'), _texts('cat'))
    for text in (
        b'[' * 1_000_000,
        b'{"metainfo": {}, "metainfo": {}}',
        b'{"metainfo": NaN}',
        b'[' + b'9' * 5000 + b']',
    ):
        yield json_case(f'text {text[:20]!r}', text, 'a.json (is nested|has the key|holds)')


# --- VOC


def voc_xml(name: str = 'cat', size: str = '9', head: str = '') -> str:
    box = '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox>'
    return (
        f'{head}<annotation><size><width>{size}</width><height>9</height></size>'
        f'<object><name>{name}</name>{box}</object></annotation>'
    )


def voc_case(
    name: str, xml: bytes | None, expected: str | Right, ids: bytes = b'a\n', **more
) -> Odd:
    files = {'ImageSets/Main/trainval.txt': ids}
    if xml is not None:
        files['Annotations/a.xml'] = xml
    images = more.pop('images', ('JPEGImages/a.jpg',))
    options = {'data_root': '<folder>', **more}
    return Odd(f'voc {name}', files, VOC, options, expected, images=images)


def voc() -> Iterator[Odd]:
    single = ('iso-8859-1', 'windows-1252', 'utf-8', 'utf-16')
    several = ('gbk', 'gb2312', 'GB18030', 'shift_jis', 'Shift_JIS', 'euc-jp', 'euc-kr', 'big5')
    for encoding in (*several, *single):
        name = {'euc-kr': '고양', 'iso-8859-1': 'é', 'windows-1252': 'é'}.get(encoding, '山川')
        head = f'<?xml version="1.0" encoding="{encoding}"?>'
        for said in (head, head.replace('"', "'")):
            xml = voc_xml(name, head=said).encode(encoding)
            yield voc_case(
                f'xml in {encoding}', xml, lambda d: d.get_cat_ids(0) == [0], classes=[name]
            )
        if encoding in several:
            undeclared = voc_xml(name).encode(encoding)
            yield voc_case(
                f'xml in {encoding}, not said', undeclared, r'a.xml: line 1.*UTF-8', classes=[name]
            )
    wrong = voc_xml(head='<?xml version="1.0" encoding="utf-16"?>').encode()
    yield voc_case('utf-16 said of utf-8', wrong, lambda d: d.get_cat_ids(0) == [7])
    yield voc_case('bom', voc_xml().encode('utf-8-sig'), lambda d: d.get_cat_ids(0) == [7])
    yield voc_case(
        'unknown encoding',
        voc_xml(head='<?xml version="1.0" encoding="x"?>').encode(),
        "encoding 'x'",
    )
    yield voc_case(
        'no text encoding',
        voc_xml(head='<?xml version="1.0" encoding="zlib"?>').encode(),
        "encoding 'zlib'",
    )
    grown = (f'<!ENTITY {b} "' + f'&{a};' * 10 + '">' for a, b in pairwise('abcdefghij'))
    laughs = '<!DOCTYPE a [<!ENTITY a "ha">' + ''.join(grown) + ']>'
    yield voc_case(
        'billion laughs', voc_xml('&j;', head=laughs).encode(), 'a.xml declares entities'
    )
    for place in ('file:///etc/passwd', 'http://127.0.0.1/x'):
        head = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{place}">]>'
        yield voc_case(
            f'entity {place}', voc_xml('&x;', head=head).encode(), 'a.xml declares entities'
        )
        wide = f'<?xml version="1.0" encoding="utf-16"?>{head}'
        yield voc_case(
            f'entity {place} in utf-16',
            voc_xml('&x;', head=wide).encode('utf-16'),
            'declares entities',
        )
    yield voc_case(
        'parameter entity',
        voc_xml(head='<!DOCTYPE a [<!ENTITY % x SYSTEM "x.dtd"> %x;]>').encode(),
        'entities',
    )
    for size in ('nan', 'inf', '-inf', '-1', '0', '', 'x', '1e999'):
        yield voc_case(f'size {size!r}', voc_xml(size=size).encode(), 'a.xml: size')
    for images in (
        ('JPEGImages/a.png',),
        ('JPEGImages/a.PNG',),
        ('JPEGImages/a.jpeg',),
        ('JPEGImages/a.bmp',),
    ):
        yield voc_case(f'images {images}', voc_xml().encode(), _paths(images[0]), images=images)
    yield voc_case(
        'jpg and png',
        voc_xml().encode(),
        _paths('a.jpg'),
        images=('JPEGImages/a.jpg', 'JPEGImages/a.png'),
    )
    yield voc_case('png and bmp', voc_xml().encode(), "line 1.*'.bmp', '.png'.*img_suffix",
                   images=('JPEGImages/a.bmp', 'JPEGImages/a.png'))  # fmt: skip
    for ids in ('a\n', 'a\r\n', './a\n', 'x\\..\\a\n'):
        for encoding in ('utf-8', 'utf-8-sig', 'utf-16'):
            yield voc_case(
                f'list {ids!r} {encoding}',
                voc_xml().encode(),
                _paths('a.jpg'),
                ids.encode(encoding),
            )
    for path in ('../../etc/a', '/etc/passwd', '..\\..\\a', 'x/../../../a'):
        yield voc_case(
            f'id {path}', voc_xml().encode(), 'trainval.txt: line 1.*outside', path.encode()
        )
    yield voc_case('id with address', voc_xml().encode(), 'line 1.*is an address', b'http://x/a')
    yield voc_case('id with NUL', voc_xml().encode(), 'line 1.*NUL', b'a\0\n')
    yield voc_case('ids twice', voc_xml().encode(), 'line 2 repeats', b'a\n./a\n')
    xml = voc_xml().encode()
    for cut in range(1, len(xml), 9):
        yield voc_case(f'cut at {cut}', xml[:cut], 'a.xml is not XML')


# --- NUS-WIDE


def nus_case(
    name: str, path: str, expected: str | Right, concept: str = 'cat', encoding: str = 'utf-8'
) -> Odd:
    files = {
        'ConceptsList/Concepts81.txt': concept.encode(encoding),
        'ImageList/TrainImagelist.txt': path.encode(encoding),
        'Groundtruth/TrainTestLabels/Labels_cat_Train.txt': b'1\n',
        'Flickr/none': b'',
    }
    return Odd(f'nus {name}', files, NUSWIDE, {'data_root': '<folder>', 'split': 'train'}, expected)


def nus_wide() -> Iterator[Odd]:
    yield nus_case('back-slashes', 'd\\a.jpg', _paths('Flickr/d/a.jpg'))
    for path in ('/etc/passwd', '../../a.jpg', '..\\..\\a.jpg'):
        yield nus_case(f'path {path}', path, 'Imagelist.txt: line 1.*outside')
    yield nus_case('address', 'http://x/a.jpg', 'line 1.*is an address')
    yield nus_case('twice', 'a.jpg\n./a.jpg', 'line 2 repeats line 1')
    for concept in ('../../x', 'a/b', 'a\\b'):
        yield nus_case(f'concept {concept}', 'a.jpg', 'Concepts81.txt: line 1.*no concept', concept)
    for encoding in ('utf-8-sig', 'utf-16'):
        yield nus_case(encoding, 'a.jpg', _texts('cat'), encoding=encoding)


def all_cases() -> list[Odd]:
    """Every input of this page."""
    return [*own_labels(), *coco(), *openmmlab(), *voc(), *nus_wide()]
