"""A recipe that does not begin with training: it takes a network that is committed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from squeeze_utils.models import checkpoint_files
from squeeze_utils.training.step import State, Step, check_untouched


@dataclass(frozen=True)
class Load(Step):
    """Fill the network with the weights of a committed checkpoint (stored as float16).

    Every seed then has the same weights to begin with: seeds tell apart what comes after.
    """

    checkpoint: str

    def apply(self, state: State) -> dict[str, Any]:
        """Take over every tensor; the checkpoint must be of the very same network."""
        check_untouched(state, self)
        model, metadata = checkpoint_files.load_model(self.checkpoint)
        if model.spec != state.model.spec:
            raise ValueError(
                f"the checkpoint {self.checkpoint} holds {model.spec}, the recipe is for "
                f"{state.model.spec}"
            )
        state.model.load_state_dict(model.state_dict())
        return {"loaded": self.checkpoint, "record": metadata.get("record", "")}
