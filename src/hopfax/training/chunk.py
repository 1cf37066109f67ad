"""Where a run stands after a chunk of steps."""

from typing import Any

import equinox as eqx

from .trainer import Trainer, TrainState


class Chunk(eqx.Module):
    """Where a run stands after a chunk of steps.

    `state` is valid until the next chunk begins, which reuses its memory; `TrainState.copy` keeps it.
    """

    trainer: Trainer
    state: TrainState
    epoch: int  # from 1
    batch: int  # batches done of this epoch
    batches: int  # in an epoch
    seconds: float  # spent on this epoch
    finite: bool  # whether sums and weights are finite
    metrics: Any = None  # of the epoch that the chunk ends, where `train` calls back

    @property
    def ends_epoch(self) -> bool:
        return self.batch == self.batches

    def means(self) -> dict[str, Any]:
        """Means over the epoch so far by name, the loss first."""
        return self.trainer.task.means(self.state.sums, self.batch, self.trainer.batch_size)

    def progress(self) -> str:
        """What is shown of the epoch so far while it runs."""
        return self.trainer.task.progress(self.state.sums, self.batch, self.trainer.batch_size)
