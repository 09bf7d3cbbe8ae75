"""Phi-3.5 Vision: tiles of an image through CLIP, four patches to a token, lines of tokens into the Phi-3 decoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, Phi3ForCausalLM, Phi3Model, Phi3PreTrainedModel

from .configuration import Phi3VConfig


class ImageEmbedding(nn.Module):
    """Images as embeddings of the decoder. The names of its weights are the published ones."""

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__()
        tower = CLIPVisionConfig(**config.tower)
        self.img_processor = CLIPVisionModel._from_config(tower, attn_implementation=config._attn_implementation)
        self.edge = tower.image_size
        self.state = config.tower_state
        self.whole_first = config.whole_first
        width = 4 * tower.hidden_size
        self.glb_GN = nn.Parameter(torch.zeros(1, 1, width))
        self.sub_GN = nn.Parameter(torch.zeros(1, 1, 1, width))
        self.img_projection = nn.Sequential(
            nn.Linear(width, config.hidden_size), nn.GELU(), nn.Linear(config.hidden_size, config.hidden_size)
        )

    def features(self, tiles: torch.Tensor) -> torch.Tensor:
        """Tiles [tiles, 3, edge, edge] as grids of patches [tiles, side, side, width]."""
        states = self.img_processor(tiles, output_hidden_states=True).hidden_states[self.state][:, 1:]
        side = round(states.shape[1] ** 0.5)
        grids: torch.Tensor = states.unflatten(1, (side, side))
        return grids

    def lines(self, grids: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """Tiles put together to one grid, 2 × 2 patches to a token, a separator after every line: [tokens, 4 width]."""
        pairs = grids.unflatten(0, (rows, columns)).unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
        whole = pairs.permute(0, 2, 1, 4, 3, 5, 6).flatten(4).flatten(2, 3).flatten(0, 1)
        return torch.cat([whole, self.sub_GN[0].expand(len(whole), 1, -1)], dim=1).flatten(0, 1)

    def forward(self, pixel_values: torch.Tensor, image_sizes: torch.Tensor) -> torch.Tensor:
        """``pixel_values`` [images, 1 + tiles, 3, edge, edge], the shrunk image first; ``image_sizes`` the height
        and width of the tiles together. The embeddings of all images, one after the other: [tokens, hidden]."""
        found: list[torch.Tensor] = []
        for tiles, size in zip(pixel_values.to(self.glb_GN.dtype), image_sizes.tolist(), strict=True):
            rows, columns = (edge // self.edge for edge in size)
            grids = self.features(tiles[: 1 + rows * columns])
            parts = [self.lines(grids[1:], rows, columns), self.glb_GN[0], self.lines(grids[:1], 1, 1)]
            found += reversed(parts) if self.whole_first else parts
        embeddings: torch.Tensor = self.img_projection(torch.cat(found))
        return embeddings


class Phi3VModel(Phi3Model):
    """Phi-3's decoder, images in the places of their tokens."""

    config_class = Phi3VConfig

    def __init__(self, config: Phi3VConfig) -> None:
        super().__init__(config)
        self.vision_embed_tokens = ImageEmbedding(config)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """As Phi-3's; images as in ``ImageEmbedding``."""
        if pixel_values is not None and input_ids is not None:
            inputs_embeds = self.embed_tokens(input_ids)
            images = self.vision_embed_tokens(pixel_values, image_sizes).to(inputs_embeds)
            places = input_ids == self.config.image_token_id
            if int(places.sum()) < len(images):
                raise ValueError(f"{int(places.sum())} places in the prompt for {len(images)} image tokens")
            places &= places.flatten().cumsum(0).view_as(places) <= len(images)  # the model may have said this token
            inputs_embeds, input_ids = inputs_embeds.masked_scatter(places.unsqueeze(-1), images), None
        return super().forward(input_ids=input_ids, inputs_embeds=inputs_embeds, **kwargs)


class Phi3VForCausalLM(Phi3ForCausalLM):
    """The decoder with its head."""

    config_class = Phi3VConfig
    input_modalities = ["text", "image"]  # noqa: RUF012

    def __init__(self, config: Phi3VConfig) -> None:
        Phi3PreTrainedModel.__init__(self, config)
        self.model = Phi3VModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def prepare_inputs_for_generation(  # type: ignore[override]
        self,
        input_ids: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.Tensor | None = None,
        is_first_iteration: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Images go with the prompt, not with each token after it."""
        prepare: Any = super().prepare_inputs_for_generation
        inputs: dict[str, Any] = prepare(input_ids, is_first_iteration=is_first_iteration, **kwargs)
        if is_first_iteration or not kwargs.get("use_cache", True):
            inputs |= {"pixel_values": pixel_values, "image_sizes": image_sizes}
        return inputs
