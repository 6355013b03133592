"""A graph as attention needs it: rows on a device, and what is worked out from them once."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from functools import cache, cached_property
from typing import Any, Protocol, final

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from bayesfuse.errors import FeatureError


class Rows(Protocol):
    """What has rows of neighbours, such as `EntityGraph` and `Adjacency`."""

    @property
    def indptr(self) -> ArrayLike: ...  # noqa: D102
    @property
    def indices(self) -> ArrayLike: ...  # noqa: D102


@final
class AttentionGraph:
    """Which nodes (columns) each node (row) listens to, in compressed sparse rows.

    Rows and columns are the same nodes in a full graph. In a sampled block there are more columns
    than rows, and row i is column i. The order of the edges in reverse, kernels' own index types
    and the like are worked out when first needed and kept, so one object should serve all steps.

    Args:
        indptr: Where each row begins, and where the last ends, `rows + 1`.
        indices: The columns that each row listens to, `edges`.
        num_columns: Number of columns; as many as rows if None.
        relation_mask: The relations of each edge, `edges`: bit k is set where relation k joins the
            two. None where they are unknown.
        edge_features: What else is known of each edge, `edges x features`, or None.
        device: Where the tensors go; where they are, or the CPU, if None.
        check: Whether to look at the numbers; False for rows that are known to be right.

    Attributes:
        indptr: int64, `rows + 1`.
        indices: int64, `edges`.
        relation_mask: int64, `edges`, or None.
        edge_features: float32 (or as it came), `edges x features`, or None.
        num_rows: Number of rows.
        num_columns: Number of columns.
        kept: What others derived from this graph, such as a backend's own form of it.

    Raises:
        FeatureError: If the arrays are no rows of columns.

    Example:
        >>> graph = AttentionGraph([0, 2, 2, 3], [0, 2, 1])
        >>> graph
        AttentionGraph(3 rows, 3 columns, 3 edges)
        >>> graph.rows.tolist()
        [0, 0, 2]
    """

    def __init__(
        self,
        indptr: ArrayLike | Tensor,
        indices: ArrayLike | Tensor,
        num_columns: int | None = None,
        relation_mask: ArrayLike | Tensor | None = None,
        edge_features: ArrayLike | Tensor | None = None,
        *,
        device: torch.device | str | None = None,
        check: bool = True,
    ) -> None:
        self.indptr = _whole(indptr, "indptr", device)
        self.indices = _whole(indices, "indices", device)
        self.num_rows = len(self.indptr) - 1
        self.num_columns = self.num_rows if num_columns is None else num_columns
        self.relation_mask = None
        if relation_mask is not None:
            self.relation_mask = _whole(relation_mask, "relation mask", device)
        self.edge_features = None
        if edge_features is not None:
            self.edge_features = torch.as_tensor(edge_features, device=device)
        self.kept: dict[Hashable, Any] = {}
        if check:
            self._check()

    @classmethod
    def of(cls, graph: Rows, *, device: torch.device | str | None = None) -> AttentionGraph:
        """Take over an `EntityGraph` with its relations and weights, or an `Adjacency`."""
        mask, weights = getattr(graph, "relation_mask", None), getattr(graph, "weights", None)
        features = None if weights is None else weights[:, None]
        return cls(graph.indptr, graph.indices, None, mask, features, device=device)

    def __repr__(self) -> str:
        """Return the sizes."""
        return (
            f"AttentionGraph({self.num_rows:,} rows, {self.num_columns:,} columns, "
            f"{self.num_edges:,} edges)"
        )

    @property
    def num_edges(self) -> int:
        """Return the number of edges; a pair that listens both ways is two."""
        return len(self.indices)

    @property
    def device(self) -> torch.device:
        """Return where the tensors are."""
        return self.indices.device

    def to(self, device: torch.device | str) -> AttentionGraph:
        """Return the graph on a device: itself if it is there."""
        if self.device == torch.empty(0, device=device).device:
            return self
        return AttentionGraph(
            self.indptr,
            self.indices,
            self.num_columns,
            self.relation_mask,
            self.edge_features,
            device=device,
            check=False,
        )

    def part(
        self,
        indptr: ArrayLike | Tensor,
        indices: ArrayLike | Tensor,
        edges: ArrayLike | Tensor,
        num_columns: int | None = None,
    ) -> AttentionGraph:
        """Return a block or a thinned graph of this one, with what its edges carry.

        Args:
            indptr: Where each row begins.
            indices: The columns that each row listens to.
            edges: The position of each edge in this graph; -1 for a self-loop that is new, which
                is of no relation and has features 0.
            num_columns: Number of columns; as many as rows if None.

        Returns:
            The graph, where this one is.

        Raises:
            FeatureError: If the arrays are no rows of columns.
        """
        made = AttentionGraph(indptr, indices, num_columns, device=self.device)
        places = _whole(edges, "edges", self.device)
        if len(places) != made.num_edges:
            raise FeatureError(f"Got positions of {len(places)} edges; expected {made.num_edges}.")
        if self.relation_mask is not None:
            masks, kinds = self.relation_kinds
            kinds = torch.cat([kinds, kinds.new_tensor([len(masks)])])[places]
            masks = torch.cat([masks, masks.new_zeros(1)])
            made.relation_mask, made.relation_kinds = masks[kinds], (masks, kinds)
        if self.edge_features is not None:
            none = self.edge_features.new_zeros(1, self.edge_features.shape[1])
            made.edge_features = torch.cat([self.edge_features, none])[places]
        return made

    @cached_property
    def degrees(self) -> Tensor:
        """Return the number of edges of each row, `rows`."""
        return self.indptr.diff()

    @cached_property
    def rows(self) -> Tensor:
        """Return the row of each edge, `edges`."""
        nodes = torch.arange(self.num_rows, device=self.device)
        return nodes.repeat_interleave(self.degrees, output_size=self.num_edges)

    @cached_property
    def relation_kinds(self) -> tuple[Tensor, Tensor]:
        """Return the different relation masks, `kinds`, and which of them each edge has, `edges`.

        Raises:
            FeatureError: If the relations are unknown.
        """
        if self.relation_mask is None:
            raise FeatureError(
                "The graph does not know the relations of its edges, which are asked for; give it "
                "a relation mask."
            )
        masks, kinds = torch.unique(self.relation_mask, return_inverse=True)
        return masks, kinds

    @cached_property
    def order(self) -> Tensor:
        """Return the positions of the edges in the order of the transposed graph, `edges`."""
        return self.short(torch.argsort(self.kernel[1], stable=True))

    @cached_property
    def transposed(self) -> AttentionGraph:
        """Return the graph in which columns are rows and rows columns."""
        counts = torch.bincount(self.indices, minlength=self.num_columns)
        indptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        rows = self.rows.index_select(0, self.order)
        return AttentionGraph(indptr, rows, self.num_rows, check=False)

    def copies(self, count: int) -> AttentionGraph:
        """Return so many copies side by side, none joined to another: a block-diagonal graph.

        One product over it stands for a product a copy, which pays where the graph is so small
        that starting a product takes longer than the product.
        """
        if count == 1:
            return self
        if count not in self.kept:
            made = self._side_by_side(count)
            shift = torch.arange(count, device=self.device)[:, None] * self.num_edges
            made.order = made.short((self.order + shift).flatten())
            made.transposed = self.transposed._side_by_side(count)
            self.kept[count] = made
        found: AttentionGraph = self.kept[count]
        return found

    def _side_by_side(self, count: int) -> AttentionGraph:
        shift = torch.arange(count, device=self.device)[:, None]
        starts = (self.indptr[:-1] + shift * self.num_edges).flatten()
        return AttentionGraph(
            torch.cat([starts, starts.new_tensor([count * self.num_edges])]),
            (self.indices + shift * self.num_columns).flatten(),
            count * self.num_columns,
            check=False,
        )

    def matrix(self, values: Tensor) -> Tensor:
        """Return the sparse matrix `rows x columns` that has these values at the edges."""
        _accept_sparse_rows()
        shape = (self.num_rows, self.num_columns)
        return torch.sparse_csr_tensor(*self.kernel, values, shape, check_invariants=False)

    @cached_property
    def kernel(self) -> tuple[Tensor, Tensor]:
        """Return `indptr` and `indices` as int32 where they fit: half of what kernels must read."""
        return self.short(self.indptr), self.short(self.indices)

    @cached_property
    def kernel_rows(self) -> Tensor:
        """Return `rows` as int32 where they fit."""
        return self.short(self.rows)

    def short(self, numbers: Tensor) -> Tensor:
        """Return numbers as int32 if all that counts in this graph fits in it."""
        largest = max(self.num_edges, self.num_rows, self.num_columns)
        return numbers.int() if largest < 2**31 else numbers

    def _check(self) -> None:
        indptr, indices = self.indptr, self.indices
        count = self.num_edges
        if self.num_rows < 0 or indptr[0] != 0 or indptr[-1] != count or (indptr.diff() < 0).any():
            raise FeatureError(
                f"indptr does not fit {count} edges; expected numbers from 0 to {count} that never "
                "fall, one more than there are rows."
            )
        if count and (indices.min() < 0 or indices.max() >= self.num_columns):
            raise FeatureError(
                f"indices go from {indices.min()} to {indices.max()}; expected columns from 0 to "
                f"{self.num_columns - 1}."
            )
        mask = self.relation_mask
        if mask is not None and len(mask) != count:
            raise FeatureError(f"Got {len(mask)} relation masks for {count} edges.")
        features = self.edge_features
        if features is not None and (features.dim() != 2 or len(features) != count):
            raise FeatureError(
                f"Edge features have shape {tuple(features.shape)}; expected {count} edges x "
                "features."
            )
        if features is not None and not features.isfinite().all():
            raise FeatureError("Edge features hold NaN or infinity; expected finite numbers.")


def _whole(numbers: Any, name: str, device: torch.device | str | None) -> Tensor:
    """Return whole numbers in one dimension as int64."""
    found = torch.as_tensor(numbers, device=device)
    if found.numel() == 0 and found.dim() == 1:
        found = found.long()
    if found.dim() != 1 or found.is_floating_point() or found.is_complex():
        raise FeatureError(
            f"{name} is {found.dtype} of shape {tuple(found.shape)}; expected whole numbers in one "
            "dimension."
        )
    return found.view(torch.int64) if found.dtype == torch.uint64 else found.long()


@cache
def _accept_sparse_rows() -> None:
    """Make torch say once, unheard, that its sparse rows are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        starts = torch.tensor([0, 0])
        torch.sparse_csr_tensor(starts, starts[:0], torch.ones(0), (1, 1), check_invariants=False)
