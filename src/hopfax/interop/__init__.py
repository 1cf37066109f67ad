"""Other frameworks: `hopfax.interop.torch` makes modules of PyTorch. Each part needs its framework installed."""
