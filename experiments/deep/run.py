"""Deep networks that train, and shallow ones at their best: trains by `best`, tests, writes JSON.

    python -m experiments.deep.run [--only 784-1024-10] [--smoke]
    python -m experiments.deep.run --only validation

Networks in training lie in `runs/`; what is there, and what the JSON has, is not done again.
"""

from pathlib import Path

from experiments.classify import main

from .config import runs, smoke, trials

if __name__ == "__main__":
    main([*runs(), *trials()], smoke(), __doc__ or "", Path(__file__).parent)
