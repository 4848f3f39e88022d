"""A small model as a GGUF file, as llama.cpp's tools write one."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from gguf import GGUFWriter
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast


def write_gguf(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, file: Path) -> None:
    """Weights in float32; the tokenizer is byte-level BPE."""
    config = model.config
    writer = GGUFWriter(str(file), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    special = {token["content"] for token in spec["added_tokens"]}
    names = [tokenizer.convert_ids_to_tokens(number) for number in range(len(tokenizer))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(names)
    writer.add_token_types([3 if name in special else 1 for name in names])
    writer.add_token_merges([" ".join(pair) for pair in spec["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.eos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    # `named_parameters` has weights that are tied once, as such files do.
    for name, weight in model.named_parameters():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        turned = next((_turned(weight, count) for part, count in heads.items() if part in name), weight)
        writer.add_tensor(_named(name), turned.detach().float().contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _turned(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp keeps the rotated halves of a head next to each other."""
    rows, columns = weight.shape
    return weight.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def _named(name: str) -> str:
    names = {
        "model.": "",
        "layers.": "blk.",
        "embed_tokens": "token_embd",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "post_attention_layernorm": "ffn_norm",
        "input_layernorm": "attn_norm",
        "lm_head": "output",
    }
    for ours, theirs in names.items():
        name = name.replace(ours, theirs)
    return name if name.startswith("blk") or name != "norm.weight" else "output_norm.weight"
