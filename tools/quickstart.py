"""The demo of ``tools/quickstart.sh``: labels of photographs, then a training on ToyScenes.

A model that is ready names what is in the photographs. Then baseline and MCAR are trained, compared
and drawn. Writes to work_dirs/quickstart: photographs/, summary.json, curves.png, regions.png,
pictures/ and the two runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmmlc.neutral import safe_file_name, safe_line
from mmmlc.ready import get_model
from mmmlc.visualization.curves import draw_curves

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'work_dirs' / 'quickstart'
READY = 'coco80_lite0'  # of models/
MODELS = {'baseline': 'baseline_r18_toy.py', 'mcar': 'mcar_r18_toy.py'}

# For glibc: keep freed memory. Otherwise a CPU spends much of its time mapping large tensors.
KEEP_MEMORY = dict(MALLOC_MMAP_MAX_='0', MALLOC_TRIM_THRESHOLD_='100000000000')


def sample_photographs() -> list[str]:
    """Photographs that matplotlib and scikit-learn bring along."""
    from matplotlib.cbook import get_sample_data
    from sklearn.datasets import load_sample_images

    portrait = get_sample_data('grace_hopper.jpg', asfileobj=False)
    return [str(portrait), *load_sample_images().filenames]


def name_photographs(paths: list[str], name: str, folder: Path) -> None:
    """Print labels and regions of photographs, and write pictures of them."""
    folder.mkdir(parents=True, exist_ok=True)
    model = get_model(name)
    table = Table('photograph', 'labels', 'regions: x1, y1, x2, y2', title=name, show_lines=True)
    for number, (path, sample) in enumerate(zip(paths, model.samples(paths), strict=True)):
        found = model.prediction_of(sample)
        labels = [f'{safe_line(label)} {found.scores[label]:.2f}' for label in found.labels]
        boxes = [
            f'{safe_line(region.label)} {region.score:.2f}: '
            + ', '.join(f'{side:.0f}' for side in region.box)
            for region in found.regions
            if region.label in found.labels
        ]
        cells = (safe_line(Path(path).name), '\n'.join(labels) or 'none', '\n'.join(boxes))
        table.add_row(*map(Text, cells))  # no markup in names
        file = folder / f'{number:02d}_{safe_file_name(Path(path).stem)}.jpg'
        model.draw(path, sample).save(file, quality=92)
    Console().print(table)
    print(f'Pictures in {folder}', flush=True)


def run(*command: object) -> None:
    """Run one of our tools, its output visible; stop with its exit status if it fails."""
    words = [sys.executable, *map(str, command)]
    print(f'\n$ {" ".join(["python", *words[1:]])}', flush=True)
    status = subprocess.run(words, cwd=ROOT, env=os.environ | KEEP_MEMORY).returncode
    if status:
        sys.exit(f'The command above failed with status {status}; its last lines say why.')


def train(name: str, epochs: int, seed: int) -> float:
    """Train one model from scratch; returns the seconds it took."""
    start = time.perf_counter()
    run(
        'tools/train.py',
        f'configs/mcar/{MODELS[name]}',
        f'--work-dir={OUT / name}',
        f'--seed={seed}',
        '--cfg-options',
        f'train_cfg.max_epochs={epochs}',
        f'param_scheduler.total_steps={epochs}',
    )
    return time.perf_counter() - start


def evaluate(name: str, epochs: int) -> dict[str, float]:
    """Test the last checkpoint; returns its metrics."""
    out = OUT / name / 'results'
    run(
        'tools/test.py',
        f'configs/mcar/{MODELS[name]}',
        OUT / name / f'epoch_{epochs}.pth',
        f'--work-dir={OUT / name}',
        f'--out={out}',
        f'--show-dir={OUT / "pictures" / name}',
        '--show-max=48',
    )
    return json.loads((out / 'summary.json').read_text())


def contact_sheet(folder: Path, out: Path, columns: int = 4, rows: int = 3) -> None:
    """Put the first pictures of a folder side by side."""
    pictures = [Image.open(path) for path in sorted(folder.glob('*.jpg'))[: columns * rows]]
    width, height = (max(size) for size in zip(*(p.size for p in pictures), strict=True))
    sheet = Image.new('RGB', (columns * (width + 8), rows * (height + 8)), 'white')
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        sheet.paste(picture, (column * (width + 8) + 4, row * (height + 8) + 4))
    sheet.save(out)


def main() -> None:
    """Name what is in photographs; train, evaluate, draw and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'photos', nargs='*', help='image files (three of matplotlib and scikit-learn)'
    )
    parser.add_argument('--epochs', type=int, default=3, help='per model (3)')
    parser.add_argument('--seed', type=int, default=0, help='of weights and order (0)')
    args = parser.parse_args()
    name_photographs(args.photos or sample_photographs(), READY, OUT / 'photographs')
    run('tools/make_toy_scenes.py')
    train_seconds = {name: round(train(name, args.epochs, args.seed), 1) for name in MODELS}
    scores = {name: evaluate(name, args.epochs) for name in MODELS}
    draw_curves({name: OUT / name for name in MODELS}, OUT / 'curves.png')
    contact_sheet(OUT / 'pictures' / 'mcar', OUT / 'regions.png')
    summary = dict(
        baseline_mAP=scores['baseline']['mAP'],
        mcar_mAP=scores['mcar']['mAP'],
        mcar_global_mAP=scores['mcar']['global_score_mAP'],
        mcar_local_mAP=scores['mcar']['local_score_mAP'],
        train_seconds=round(sum(train_seconds.values()), 1),
        baseline_train_seconds=train_seconds['baseline'],
        mcar_train_seconds=train_seconds['mcar'],
        epochs=args.epochs,
        seed=args.seed,
    )
    (OUT / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    print(
        f'\nmAP on {len(list((ROOT / "data/toy_scenes/val").iterdir()))} validation images after '
        f'{args.epochs} epochs: baseline {summary["baseline_mAP"]:.1f}, '
        f'MCAR {summary["mcar_mAP"]:.1f}\n'
        f'Look at {OUT / "regions.png"} and {OUT / "curves.png"};\n'
        f'numbers in {OUT / "summary.json"}, every picture in {OUT / "pictures"}'
    )


if __name__ == '__main__':
    main()
