"""VaLM and GPT-2* for Hugging Face's transformers: all that an exported model needs besides them.

A decoder-only transformer (pre-norm, tied embeddings, sinusoidal or learned positions; GELU and the
scale of embeddings as fairseq or as GPT-2 has them).
With ``joint_layer`` set, one layer attends in one softmax to the text so far and to the pictures of
the token itself (Visually-Augmented Language Modeling, section 3).

Pictures come as vectors: ``picture_vectors`` [batch, tokens, pictures, picture_width], and
``picture_mask`` [batch, tokens, pictures], True where there is a picture. A token without pictures
attends to text alone. ``generate`` takes them for the prompt's tokens, or a ``retriever`` that finds
them for every token, new ones too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

# fairseq counts positions from after its padding entry, which is entry 1.
FIRST_POSITION = 2

# Finds the pictures of all tokens: ids and attention mask [batch, tokens] to vectors and their mask.
Retriever = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]


class ValmConfig(PretrainedConfig):
    """Sizes of the model; the feed-forward layers are four times as wide as the hidden states.

    Attributes:
        architecture: "fairseq": exact GELU, embeddings times sqrt(width); "gpt2": GELU by tanh.
        positions: "sinusoidal" or "learned".
        joint_layer: The layer that reads pictures, counted from 0; None: no layer does.
        joint_scale: What that layer's logits are divided by: "sqrt_d_head" or "sqrt_d_model".
        null_image: Whether every token sees a learned picture behind its own.
        picture_width: Width of a picture's vector.
        dropout: Of embeddings, attention weights and residuals, in training.
    """

    model_type = "valm"
    keys_to_ignore_at_inference = ("past_key_values",)
    vocab_size: int = 4096
    hidden_size: int = 192
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    max_position_embeddings: int = 64
    architecture: str = "fairseq"
    positions: str = "sinusoidal"
    joint_layer: int | None = None
    joint_scale: str = "sqrt_d_head"
    null_image: bool = False
    picture_width: int = 0
    dropout: float = 0.0
    use_cache: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    pad_token_id: int | None = None
    tie_word_embeddings: bool = True

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


class Attention(nn.Module):
    """Causal multi-head attention over the text."""

    def __init__(self, config: ValmConfig, layer: int):
        super().__init__()
        self.layer, self.heads, self.dropout = layer, config.num_attention_heads, config.dropout
        self.scale = config.head_width**-0.5
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self,
        x: Tensor,
        visible: Tensor,
        cache: Any | None,
        pictures: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """Mix each token's state with those that are visible to it; pictures are not looked at.

        Args:
            x: States [batch, tokens, width].
            visible: True where a token may look, [batch or 1, 1, tokens, past + tokens].
            cache: Keys and values of the past, which those of these tokens are added to.
        """
        query, key, value = self.split(x, cache)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=visible, dropout_p=dropout, scale=self.scale
        )
        return self.leave(mixed)

    def split(self, x: Tensor, cache: Any | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of these tokens, keys and values of all so far, [batch, heads, tokens, head]."""
        batch, tokens, _ = x.shape
        split = self.query_key_value(x).view(batch, tokens, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        return query, key, value

    def leave(self, mixed: Tensor) -> Tensor:
        """The output projection of all heads side by side."""
        projected: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return projected


class PictureBias(nn.Module):
    """Biases of picture keys and values, where their weights are those of the text."""

    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2 * width))


class JointAttention(Attention):
    """Attention of each token to the text so far and to its own pictures, in one softmax.

    A picture's keys concern no token but its own, so the cache holds those of the text only.
    """

    def __init__(self, config: ValmConfig, layer: int):
        super().__init__(config, layer)
        if config.joint_scale == "sqrt_d_model":
            self.scale = config.hidden_size**-0.5
        null = {"vector": nn.Parameter(torch.zeros(config.picture_width))}
        self.null_image = nn.ParameterDict(null) if config.null_image else None
        self.picture_norm = nn.LayerNorm(config.picture_width)
        self.picture_key_value: PictureBias | nn.Linear
        if config.picture_width == config.hidden_size:
            self.picture_key_value = PictureBias(config.hidden_size)
        else:
            self.picture_key_value = nn.Linear(config.picture_width, 2 * config.hidden_size)

    def forward(
        self,
        x: Tensor,
        visible: Tensor,
        cache: Any | None,
        pictures: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """Mix each token's state with those before it and with its pictures, if there are any."""
        pictures = self.with_null_image(x, pictures)
        if pictures is None:
            return super().forward(x, visible, cache, None)
        query, key, value = self.split(x, cache)
        picture_key, picture_value, shown = *self.picture_maps(pictures[0], x.dtype), pictures[1]
        text = (query @ key.transpose(2, 3) * self.scale).masked_fill(~visible, -math.inf)
        seen = torch.einsum("bhtd,btkhd->bhtk", query, picture_key) * self.scale
        seen = seen.masked_fill(~shown.unsqueeze(1), -math.inf)
        weights = torch.cat([text, seen], dim=-1).softmax(dim=-1)
        weights = functional.dropout(weights, self.dropout, self.training)
        text, seen = torch.split(weights, [key.shape[2], shown.shape[2]], dim=-1)
        return self.leave(text @ value + torch.einsum("bhtk,btkhd->bhtd", seen, picture_value))

    def with_null_image(
        self, x: Tensor, pictures: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor] | None:
        """Vectors and mask of its own pictures, and of the null image if there is one."""
        if self.null_image is None:
            return pictures
        vectors = self.null_image["vector"].expand(*x.shape[:2], 1, -1)
        shown = torch.ones_like(vectors[..., 0], dtype=torch.bool)
        if pictures is None:
            return vectors, shown
        own = pictures[0].to(vectors.dtype)
        return torch.cat([own, vectors], dim=2), torch.cat([pictures[1], shown], dim=2)

    def picture_maps(self, vectors: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Keys and values of pictures, [batch, tokens, pictures, heads, head]."""
        norm, own = self.picture_norm, self.picture_key_value
        standard = functional.layer_norm(vectors.float(), vectors.shape[-1:], eps=norm.eps)
        states = standard.to(dtype) * norm.weight + norm.bias
        text = self.query_key_value
        weight = own.weight if isinstance(own, nn.Linear) else text.weight[text.in_features :]
        both = functional.linear(states, weight, own.bias)
        key, value = both.view(*both.shape[:3], 2, self.heads, -1).unbind(3)
        return key, value


class Block(nn.Module):
    """Attention, then a feed-forward layer, each behind a layer norm and around a residual."""

    def __init__(self, config: ValmConfig, layer: int):
        super().__init__()
        width = config.hidden_size
        self.gelu = "tanh" if config.architecture == "gpt2" else "none"
        self.attention_norm = nn.LayerNorm(width)
        kind = JointAttention if layer == config.joint_layer else Attention
        self.attention = kind(config, layer)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        visible: Tensor,
        cache: Any | None,
        pictures: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """One layer; every block is handed the pictures, only the joint layer's reads them."""
        attended = self.attention(self.attention_norm(x), visible, cache, pictures)
        x = x + self.dropout(attended)
        hidden = functional.gelu(self.widen(self.feed_forward_norm(x)), approximate=self.gelu)
        out: Tensor = x + self.dropout(self.narrow(hidden))
        return out


class Trunk(nn.Module):
    """Token and position embeddings, the blocks, and a final layer norm."""

    def __init__(self, config: ValmConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        learned = config.positions == "learned"
        self.positions = (
            nn.Embedding(config.max_position_embeddings, config.hidden_size) if learned else None
        )
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(config, layer) for layer in range(config.num_hidden_layers)
        )
        self.final_norm = nn.LayerNorm(config.hidden_size)

    def embed(self, ids: Tensor, places: Tensor) -> Tensor:
        """Token embeddings, scaled, plus positions.

        Args:
            ids: Tokens [batch, tokens].
            places: Their positions from 0, [batch or 1, tokens].
        """
        width, learned = self.config.hidden_size, self.positions
        scaled = self.embedding(ids) * (1.0 if self.config.architecture == "gpt2" else width**0.5)
        positions = sinusoids(places, width) if learned is None else learned(places)
        out: Tensor = self.dropout(scaled + positions.to(scaled.dtype))
        return out


def sinusoids(places: Tensor, width: int) -> Tensor:
    """Sinusoids of positions in fairseq's layout: all sines, then all cosines; float32.

    Frequencies fall geometrically from 1 to 1/10000; an odd width ends in a zero.
    """
    half = width // 2
    steps = torch.arange(half, device=places.device)
    frequencies = torch.exp(steps * (-math.log(10000.0) / max(half - 1, 1)))
    angles = (places + FIRST_POSITION).unsqueeze(-1) * frequencies
    return functional.pad(torch.cat([angles.sin(), angles.cos()], dim=-1), (0, width - 2 * half))


class ValmForCausalLM(PreTrainedModel, GenerationMixin):
    """The language model; its output embeddings are its input embeddings."""

    config_class = ValmConfig
    base_model_prefix = "trunk"
    main_input_name = "input_ids"
    _no_split_modules: ClassVar[list[str]] = ["Block"]
    _supports_sdpa = True

    def __init__(self, config: ValmConfig):
        super().__init__(config)
        self.trunk = Trunk(config)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any | None = None,
        picture_vectors: Tensor | None = None,
        picture_mask: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of the token after each token.

        Args:
            input_ids: Tokens [batch, tokens] that the cache does not hold.
            attention_mask: 0 where a token is padding, on either side, [batch, past + tokens].
            position_ids: Places of the tokens, from 0; None: counted without padding.
            past_key_values: Cache of the tokens before.
            picture_vectors: Pictures of these tokens, [batch, tokens, pictures, picture_width].
            picture_mask: True where there is a picture, [batch, tokens, pictures]; None: everywhere.
            labels: Tokens to predict, aligned with the input (they are shifted here); -100: none.
            use_cache: Whether to return a cache; None: as configured, and never in training.
            logits_to_keep: Only the last so many logits; 0: all.

        Raises:
            ValueError: The text is longer than the model's context, or pictures are given to a
                model that reads none.
        """
        cached = (self.config.use_cache and not self.training) if use_cache is None else use_cache
        cache = past_key_values
        if cache is None and cached:
            cache = DynamicCache(config=self.config)
        past = 0 if cache is None else int(cache.get_seq_length())
        places = self._places(input_ids, past, attention_mask, position_ids)
        visible = self._visible(input_ids, past, attention_mask)
        pictures = self._pictures(picture_vectors, picture_mask)
        x = self.trunk.embed(input_ids, places)
        for block in self.trunk.blocks:
            x = block(x, visible, cache, pictures)
        states = self.trunk.final_norm(x)[:, -logits_to_keep:]
        logits = functional.linear(states, self.trunk.embedding.weight)
        loss = None
        if labels is not None:
            predicted, wanted = logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten()
            loss = functional.cross_entropy(predicted, wanted)
        return CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=cache if cached else None
        )

    def _places(self, ids: Tensor, past: int, mask: Tensor | None, given: Tensor | None) -> Tensor:
        """Positions of these tokens, padding not counted, [batch or 1, tokens]."""
        tokens = ids.shape[1]
        if given is not None:
            places = given
        elif mask is not None:
            places = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -tokens:]
        else:
            places = torch.arange(past, past + tokens, device=ids.device).unsqueeze(0)
        longest = self.config.max_position_embeddings
        # What is longer than the context even without padding must be looked at, on a GPU by waiting.
        if past + tokens > longest and int(places.max()) >= longest:
            raise ValueError(f"the text is longer than the model's context of {longest} tokens")
        return places

    def _visible(self, ids: Tensor, past: int, mask: Tensor | None) -> Tensor:
        """Where each token may look: at itself and what is before it, but for padding."""
        tokens = ids.shape[1]
        everything = torch.ones(tokens, past + tokens, dtype=torch.bool, device=ids.device)
        visible = everything.tril(past)[None, None]
        if mask is None:
            return visible
        # Padding looks at itself, so that its softmax is over something; nobody looks at it.
        itself = everything.tril(past).triu(past)
        return visible & (mask.bool()[:, None, None, :] | itself)

    def _pictures(
        self, vectors: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor] | None:
        if vectors is None:
            return None
        if self.config.joint_layer is None:
            raise ValueError("this model reads no pictures: leave picture_vectors out")
        if mask is None:
            mask = torch.ones(vectors.shape[:3], dtype=torch.bool, device=vectors.device)
        return vectors, mask.bool()

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        picture_vectors: Tensor | None = None,
        picture_mask: Tensor | None = None,
        retriever: Retriever | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The inputs of one step: the tokens that the cache does not hold, and their pictures.

        Args:
            input_ids: The prompt and what has been generated, [batch, tokens].
            picture_vectors: Pictures of the prompt's tokens; generated ones have none.
            retriever: Finds the pictures of all tokens; in place of ``picture_vectors``.
        """
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(input_ids, **kwargs)
        if retriever is not None:
            picture_vectors, picture_mask = retriever(input_ids, kwargs.get("attention_mask"))
        pictures = self._pictures(picture_vectors, picture_mask)
        if pictures is not None:
            vectors, shown = pictures
            without = input_ids.shape[1] - vectors.shape[1]
            vectors = functional.pad(vectors, (0, 0, 0, 0, 0, without))
            shown = functional.pad(shown, (0, 0, 0, without))
            new = inputs["input_ids"].shape[1]
            inputs |= {"picture_vectors": vectors[:, -new:], "picture_mask": shown[:, -new:]}
        return inputs

    def get_input_embeddings(self) -> nn.Module:
        """The token embeddings."""
        return self.trunk.embedding

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token embeddings, which are the output's too."""
        self.trunk.embedding = value
