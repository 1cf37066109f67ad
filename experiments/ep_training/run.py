"""Equilibrium propagation beside the implicit gradient: trains from equal seeds, tests, writes JSON.

    python -m experiments.ep_training.run [--only ep-784-512-10] [--smoke]

Networks in training lie in `runs/`; what is there, and what the JSON has, is not done again.
"""

from pathlib import Path

from experiments.classify import main

from .config import runs, smoke

if __name__ == "__main__":
    main(runs(), smoke(), __doc__ or "", Path(__file__).parent)
