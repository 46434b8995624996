"""One thread: the same bytes on every machine, and nobody's cores taken."""

import torch

torch.set_num_threads(1)
