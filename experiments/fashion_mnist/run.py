"""Dense networks on Fashion-MNIST: trains by equilibrium propagation and by the implicit gradient, tests, writes JSON.

    python -m experiments.fashion_mnist.run [--only ep-784-1024-10] [--smoke]
    python -m experiments.fashion_mnist.run --only validation

Networks in training lie in `runs/`; what is there, and what the JSON has, is not done again.
"""

from pathlib import Path

from experiments.classify import main

from .config import runs, smoke, trials

if __name__ == "__main__":
    main([*runs(), *trials()], smoke(), __doc__ or "", Path(__file__).parent)
