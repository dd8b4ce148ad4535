"""From a design to draws: the only folder that knows PyMC and PyTensor."""
