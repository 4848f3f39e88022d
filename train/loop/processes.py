"""One run in several processes, as accelerate's launcher or torchrun starts them: the main one leads.

Raises ProcessFailed in all others where one fails.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Final, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from transformers import PreTrainedModel

from taxonomy.errors import CallWrong, ProcessFailed

T = TypeVar("T")
_TIMEOUT: Final = timedelta(days=1)
"""How long the others wait for the leader, who may encode for hours. The launcher ends them if it dies."""


def joined() -> PartialState:
    """Join the run's other processes, if there are any. Raises CallWrong where GPUs would lie idle."""
    on_cpu = not torch.cuda.is_available()
    state = PartialState(cpu=on_cpu, timeout=_TIMEOUT)
    if state.num_processes == 1 and torch.cuda.device_count() > 1:
        raise CallWrong(
            f"this machine shows {torch.cuda.device_count()} GPUs to one process: start one a GPU with `accelerate "
            "launch` (docs/training.md), or show it one with CUDA_VISIBLE_DEVICES"
        )
    if on_cpu and is_sharded():
        raise CallWrong("accelerate shards no model on CPUs; launch without --use_fsdp")
    # torch itself takes a thread for each physical core only.
    cores = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", max(1, cores))))
    return state


def run_on_main_process(make: Callable[[], T]) -> T:
    """What the main process makes, in every one of them."""
    state = PartialState()
    if state.num_processes == 1:
        return make()
    made: list[tuple[T] | None] = [None]
    try:
        if state.is_main_process:
            made = [(make(),)]
    finally:
        broadcast_object_list(made)
    if made[0] is None:
        raise ProcessFailed("the run's first process failed")
    return made[0][0]


def run_on_all_processes(work: Callable[[], T]) -> T:
    """Do it in every process; nobody goes on before all are done."""
    if PartialState().num_processes == 1:
        return work()
    failed = True
    try:
        made = work()
        failed = False
    finally:
        all_failed: list[bool] = gather_object([failed])
    if any(all_failed):
        raise ProcessFailed(f"process {all_failed.index(True)} of the run failed")
    return made


def empty_copy(model: PreTrainedModel) -> PreTrainedModel:
    """The same model with nothing in its parameters, for the weights of one that is sharded in training."""
    empty = {id(p): torch.nn.Parameter(p.to("meta"), p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, empty)


def whole_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The whole weights of a model that is wrapped or sharded, in the first process; all have to ask at once."""
    gathered = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    return {name: tensor for name, tensor in gathered.items() if isinstance(tensor, torch.Tensor)}


def is_sharded() -> bool:
    """Whether the launcher asked for FSDP: then no process holds the whole of the model."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
