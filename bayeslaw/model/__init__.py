"""From a design to draws: the only folder that imports PyMC and PyTensor."""
