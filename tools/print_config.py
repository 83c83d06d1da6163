"""Print a config in full: its bases merged, the model and the pipelines as they are built.

python tools/print_config.py configs/mcar/mcar_r101_coco.py --cfg-options model.topn=2
"""

from __future__ import annotations

import argparse

from mmmlc.engine import load_config
from mmmlc.engine.command_line import add_config_options


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    add_config_options(parser, 'model.backbone.init_cfg=None model.topn=2')
    return parser.parse_args()


def main() -> None:
    """Print what tools/train.py would train."""
    args = parse_args()
    print(load_config(args.config, args.cfg_options).pretty_text)


if __name__ == '__main__':
    main()
