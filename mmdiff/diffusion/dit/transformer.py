"""The diffusion transformer (DiT, SiT), with the features of its blocks as the main output.

Parameter names equal those of the released code, so that state dicts go both
ways.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attention import attend
from ..denoiser import Denoiser
from ..embedding import time_vectors
from ..kept import KeepsResults
from .arch import TransformerArchitecture

TAPS = ('modulated', 'raw')


class Modulation(KeepsResults):
    """A layer norm that an embedding shifts and scales.

    Args:
        channels (int): Channels of the tokens and of the embedding.
        num_vectors (int): What is made of the embedding: the norm's shift and
            scale, and whatever a subclass takes besides.
    """

    def __init__(self, channels: int, num_vectors: int):
        super().__init__()
        self.num_vectors = num_vectors
        self.adaLN_modulation = nn.Sequential(
            nn.SiLU(), nn.Linear(channels, num_vectors * channels)
        )

    def vectors(self, emb: Tensor) -> tuple[Tensor, ...]:
        """Shift and scale, and further vectors, each of shape (N or 1, 1, D)."""
        vectors = self.kept(self.adaLN_modulation, self.adaLN_modulation, emb)
        return vectors[:, None].chunk(self.num_vectors, dim=-1)

    def modulated(self, x: Tensor, emb: Tensor) -> Tensor:
        """The tokens after the norm, its shift and its scale.

        Args:
            x (Tensor): Tokens, shape (N, T, D).
            emb (Tensor): The embedding, shape (N or 1, D).

        Returns:
            Tensor: Shape (N, T, D).
        """
        shift, scale, *_ = self.vectors(emb)
        return _modulate(x, shift, scale)


class Attention(nn.Module):
    """Self-attention over all tokens.

    Args:
        arch (TransformerArchitecture): Gives the width and the heads.
    """

    def __init__(self, arch: TransformerArchitecture):
        super().__init__()
        self.num_heads = arch.num_heads
        self.qkv = nn.Linear(arch.hidden_size, 3 * arch.hidden_size)
        self.proj = nn.Linear(arch.hidden_size, arch.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        attended = attend(q, k, v)
        return self.proj(attended.transpose(1, 2).reshape(n, t, d))


class MLP(nn.Module):
    """Two layers on each token by itself.

    Args:
        arch (TransformerArchitecture): Gives the widths.
    """

    def __init__(self, arch: TransformerArchitecture):
        super().__init__()
        self.fc1 = nn.Linear(arch.hidden_size, arch.mlp_width)
        self.fc2 = nn.Linear(arch.mlp_width, arch.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate='tanh'))


class TransformerBlock(Modulation):
    """Attention and an MLP, each after a modulated norm and behind a gate.

    Args:
        arch (TransformerArchitecture): The architecture.
    """

    def __init__(self, arch: TransformerArchitecture):
        super().__init__(arch.hidden_size, num_vectors=6)
        self.attn = Attention(arch)
        self.mlp = MLP(arch)

    def forward(self, x: Tensor, emb: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens after the block, and those that go into its attention.

        Args:
            x (Tensor): Tokens, shape (N, T, D).
            emb (Tensor): The embedding, shape (N or 1, D).

        Returns:
            tuple[Tensor, Tensor]: Each of shape (N, T, D). The latter is
            :meth:`modulated`, the previous block's feature.
        """
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.vectors(emb)
        modulated = _modulate(x, shift, scale)
        x = x + gate * self.attn(modulated)
        return x + mlp_gate * self.mlp(_modulate(x, mlp_shift, mlp_scale)), modulated


class FinalLayer(Modulation):
    """From tokens to their patches of latents.

    Args:
        arch (TransformerArchitecture): The architecture.
    """

    def __init__(self, arch: TransformerArchitecture):
        super().__init__(arch.hidden_size, num_vectors=2)
        self.linear = nn.Linear(arch.hidden_size, arch.patch_size**2 * arch.out_channels)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        return self.linear(self.modulated(x, emb))


class BlockList(nn.ModuleList):
    """The blocks under their released name, which is also that of what :class:`Denoiser` calls.

    Args:
        modules (Sequence[nn.Module]): The blocks, and what is built of the
            next one.
        num_blocks (int): How many of them are blocks.
    """

    def __init__(self, modules: Sequence[nn.Module], num_blocks: int):
        super().__init__(modules)
        self.num_blocks = num_blocks

    def forward(self) -> Iterator[nn.Module]:
        return islice(iter(self), self.num_blocks)


class DiffusionTransformer(Denoiser):
    """DiT or SiT: features of any set of blocks in one walk over the blocks.

    Its condition are class indices, of the shape of ``timesteps``; None stands
    for the null class, which the model has learned for images without one.

    A feature is a grid of tokens, shape (N, D, H / p, W / p) for latents of
    shape (N, 4, H, W) and patches of side p.

    Args:
        arch (TransformerArchitecture): The architecture.
        last_block (int, optional): The deepest block to build. Later blocks
            and the output layer do not exist then, but for what ``tap``
            needs of them. Defaults to None: all.
        gradient_checkpointing (bool): Keep only the outputs of blocks in the
            forward and compute the rest again in the backward: less memory
            for more time. Defaults to False.
        tap (str): What the feature of a block is. ``'raw'`` are the tokens
            after it. A few of their channels are large at every token, which
            the next block's first norm, shift and scale undo (Gan et al.,
            *Unleashing Diffusion Transformers for Visual Correspondence by
            Modulating Massive Activations*, https://arxiv.org/abs/2505.18584):
            ``'modulated'`` are the tokens after those, or after those of the
            output layer, which are then built and frozen with the block.
            Defaults to ``'modulated'``.

    Raises:
        TypeError: If ``last_block`` is not an integer.
        ValueError: If the architecture has no such block, or ``tap`` is
            unknown.
    """

    marks = ('blocks.0.adaLN_modulation.1.weight',)
    embedding_layers = ('adaLN_modulation',)

    def __init__(
        self,
        arch: TransformerArchitecture,
        last_block: int | None = None,
        gradient_checkpointing: bool = False,
        tap: str = 'modulated',
    ):
        super().__init__(arch, last_block, gradient_checkpointing)
        if tap not in TAPS:
            raise ValueError(f'tap must be one of {", ".join(map(repr, TAPS))}, got {tap!r}')
        self.tap = tap
        width, patch = arch.hidden_size, arch.patch_size
        self.x_embedder = nn.ModuleDict(
            dict(proj=nn.Conv2d(arch.input.channels, width, patch, stride=patch))
        )
        grid = (arch.grid_size, arch.grid_size)
        self.pos_embed = nn.Parameter(self._positions(*grid), requires_grad=False)
        self.t_embedder = nn.ModuleDict(
            dict(
                mlp=nn.Sequential(
                    nn.Linear(arch.time_channels, width), nn.SiLU(), nn.Linear(width, width)
                )
            )
        )
        self.y_embedder = nn.ModuleDict(
            dict(embedding_table=nn.Embedding(arch.num_classes + 1, width))
        )
        built = [TransformerBlock(arch) for _ in range(self.last_block)]
        self.final_layer = None
        if last_block is None:
            self.final_layer = FinalLayer(arch)
        elif tap == 'modulated' and last_block == arch.num_blocks:
            self.final_layer = Modulation(width, num_vectors=2)
        elif tap == 'modulated':
            built.append(Modulation(width, num_vectors=6))
        self.blocks = BlockList(built, self.last_block)
        self._initialise()

    def _initialise(self) -> None:
        """As the released code does: blocks are the identity, and the output is zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.x_embedder.proj.weight.flatten(1))
        nn.init.zeros_(self.x_embedder.proj.bias)
        for module in (self.y_embedder.embedding_table, self.t_embedder.mlp[0]):
            nn.init.normal_(module.weight, std=0.02)
        nn.init.normal_(self.t_embedder.mlp[2].weight, std=0.02)
        for module in self.modules():
            if isinstance(module, Modulation):
                nn.init.zeros_(module.adaLN_modulation[1].weight)
            if isinstance(module, FinalLayer):
                nn.init.zeros_(module.linear.weight)

    def embeddings(self) -> Iterator[nn.Module]:
        """What embeds patches, timesteps and classes."""
        yield self.x_embedder
        yield self.t_embedder
        yield self.y_embedder

    def _frozen_modules(self) -> Iterator[nn.Module]:
        yield from super()._frozen_modules()
        if self.tap == 'modulated' and self.last_block in self.frozen_blocks:
            yield self._after(self.last_block).adaLN_modulation

    def _after(self, number: int) -> Modulation:
        """What comes after a block: the next, what is built of it, or the output layer."""
        return self.final_layer if number == self.arch.num_blocks else self.blocks[number]

    def features(
        self,
        x_t: Tensor,
        timesteps: Tensor,
        blocks: Sequence[int],
        condition: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Features after some blocks, in one walk that ends with the deepest.

        Args:
            x_t (Tensor): Noised latents, shape (N, 4, H, W), with sides that
                are multiples of the architecture's ``patch_size``.
            timesteps (Tensor): Shape (N, ), or (1, ) for all alike, from 0 to
                999. The latter is faster.
            blocks (Sequence[int]): Block numbers, counted from 1.
            condition (Tensor, optional): Class indices, of the shape of
                ``timesteps``. None stands for the null class.

        Returns:
            tuple[Tensor, ...]: A map of shape (N, D, H / p, W / p) for each
            of ``blocks``, in their order.
        """
        emb = self.kept(self.embeddings(), self.embed, timesteps, condition)
        deepest = max(blocks)
        h, taps = self._walk(self._tokens(x_t), emb, deepest, blocks)
        if self.tap == 'modulated':
            taps[deepest] = self._after(deepest).modulated(h, emb)
        size = self._grid(x_t)
        return tuple(taps[number].transpose(1, 2).unflatten(2, size) for number in blocks)

    def forward(self, x_t: Tensor, timesteps: Tensor, labels: Tensor | None = None) -> Tensor:
        """Predict the noise, and the variance where the model learns it, or SiT's velocity.

        Args:
            x_t (Tensor): Noised latents, as for :meth:`features`.
            timesteps (Tensor): Shape (N, ), or (1, ) for all alike, from 0 to
                999.
            labels (Tensor, optional): Class indices, of the shape of
                ``timesteps``. None stands for the null class.

        Returns:
            Tensor: Shape (N, 4 or 8, H, W).

        Raises:
            RuntimeError: If the output layer is not built.
        """
        if not isinstance(self.final_layer, FinalLayer):
            raise RuntimeError(
                f'this transformer ends with block {self.last_block}, so it has features but no '
                'output; build it with last_block=None'
            )
        emb = self.embed(timesteps, labels)
        h, _ = self._walk(self._tokens(x_t), emb, self.last_block)
        patches = self.final_layer(h, emb).unflatten(1, self._grid(x_t))
        patch = self.arch.patch_size
        patches = patches.unflatten(3, (patch, patch, self.arch.out_channels))
        output = patches.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        if self.arch.noise_schedule == 'linear-path':
            # SiT was trained without using the other half.
            output = output[:, : self.arch.input.channels]
        return output

    def _walk(
        self, h: Tensor, emb: Tensor, last: int, blocks: Collection[int] = ()
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Run the blocks up to ``last``, and tap ``blocks`` on the way."""
        taps = {}
        for number, block in enumerate(islice(self.blocks(), last), start=1):
            h, modulated = self._run(block, h, emb)
            tap, tapped = (number, h) if self.tap == 'raw' else (number - 1, modulated)
            if tap in blocks:
                taps[tap] = tapped
        return h, taps

    def embed(self, timesteps: Tensor, labels: Tensor | None = None) -> Tensor:
        """Embed timesteps and class labels.

        Args:
            timesteps (Tensor): Shape (N, ), or as of :func:`time_vectors`.
            labels (Tensor, optional): Class indices, shape (N, ). None stands
                for the null class.

        Returns:
            Tensor: Shape (N, D).
        """
        if labels is None:
            null = self.arch.num_classes
            labels = timesteps.new_full((len(timesteps),), null, dtype=torch.long)
        emb = self.t_embedder.mlp(time_vectors(timesteps, self.arch))
        return emb + self.y_embedder.embedding_table(labels)

    def _tokens(self, x_t: Tensor) -> Tensor:
        size = self._grid(x_t)
        trained = size == (self.arch.grid_size, self.arch.grid_size)
        positions = self.pos_embed if trained else self._positions(*size, x_t.device)
        return self.x_embedder.proj(x_t).flatten(2).transpose(1, 2) + positions.to(self.pos_embed)

    def _grid(self, x_t: Tensor) -> tuple[int, int]:
        height, width = x_t.shape[-2:]
        return height // self.arch.patch_size, width // self.arch.patch_size

    def _positions(self, height: int, width: int, device: torch.device | None = None) -> Tensor:
        """Sines and cosines of columns and rows, in the range of the trained grid.

        Returns:
            Tensor: Shape (1, height * width, D), float32, columns first.
        """
        like = dict(device=device, dtype=torch.float64)
        quarter = self.arch.hidden_size // 4
        frequencies = 10000 ** (-torch.arange(quarter, **like) / quarter)

        def along(size: int) -> Tensor:
            places = torch.arange(size, **like) * (self.arch.grid_size / size)
            angles = places[:, None] * frequencies
            return torch.cat([angles.sin(), angles.cos()], dim=1).float()

        columns = along(width)[None].expand(height, -1, -1)
        rows = along(height)[:, None].expand(-1, width, -1)
        return torch.cat([columns, rows], dim=2).flatten(0, 1)[None]


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
