"""The one file that knows vLLM's worker: other weights in the place of those that are loaded.

vLLM's own reload packs anew each layer that finds its weights in the file. An output layer that shares the embedding's
weights finds none of its own there, so on a CPU it goes on computing with its packed copy of the old ones: the reload
succeeds, and what then answers is neither checkpoint.

Its cache is forgotten block by block, but not overwritten. Weights that compute no numbers leave NaN there, and a
comment that gets such a block afterwards is answered wrongly although the old weights are back: what stands behind its
end is multiplied by zero, which NaN survives.
"""

from __future__ import annotations

from typing import Any

from torch.nn import Module
from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
from vllm.model_executor.model_loader.reload.layerwise import finalize_layerwise_reload, get_layerwise_info


class Reloading:
    """Mixed by vLLM into its worker (`worker_extension_cls`)."""

    model_runner: Any
    model_config: Any
    reload_weights: Any

    def take_weights(self, folder: str) -> None:
        """Put the weights in a checkpoint's directory in the place of those that are loaded, and empty the cache.

        No request may be running. Where it fails the model holds some of both, and another call may still succeed.
        """
        model = self.model_runner.get_model()
        for cache in self.model_runner.kv_caches:
            cache.zero_()
        try:
            self.reload_weights(weights_path=folder)
        except BaseException:
            _put_together(model, self.model_config)
            raise
        for layer in model.modules():
            # An embedding, or the output layer, which is one: these keep their weights beside the packed copy.
            if isinstance(layer, VocabParallelEmbedding):
                layer.quant_method.process_weights_after_loading(layer)


def _put_together(model: Module, config: Any) -> None:
    """Layers that still wait for their weights get their old ones back: else the next file's would be mixed in."""
    for layer in model.modules():
        waiting = get_layerwise_info(layer)
        waiting.loaded_weights.clear()
        waiting.load_numel = 0
    finalize_layerwise_reload(model, config)
