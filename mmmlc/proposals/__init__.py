"""Object proposals: EdgeBoxes, the file that keeps them, and the pipeline step that reads it."""

import mmmlc.registry  # noqa: F401 - says what is missing before the rest fails

from .edge_boxes import EdgeBoxes
from .loading import LoadProposals
from .store import ImageProposals, ProposalStore, write_store

__all__ = ['EdgeBoxes', 'ImageProposals', 'LoadProposals', 'ProposalStore', 'write_store']
