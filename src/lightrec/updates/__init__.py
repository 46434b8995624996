"""The life of a model after it was made: new users, new items, items that go; no torch.

Codes and codebooks of the items that stay are not touched.
"""

from lightrec.updates.difference import Difference, difference
from lightrec.updates.report import Update
from lightrec.updates.self_check import SelfCheck, self_check
from lightrec.updates.update import update

__all__ = ["Difference", "SelfCheck", "Update", "difference", "self_check", "update"]
