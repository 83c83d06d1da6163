"""Object proposals: EdgeBoxes, and the file that keeps the proposals of a data set."""

from .edge_boxes import EdgeBoxes
from .store import ImageProposals, ProposalStore, write_store

__all__ = ['EdgeBoxes', 'ImageProposals', 'ProposalStore', 'write_store']
