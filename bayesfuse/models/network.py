"""The network: features in, standardised, fused and classified, one logit a label out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.data.blocks import Blocks
from bayesfuse.errors import ConfigError, FeatureError, unknown_option
from bayesfuse.models.auxiliary.base import Auxiliary
from bayesfuse.models.auxiliary.settings import AuxiliarySettings, build_auxiliary
from bayesfuse.models.base_rates import base_rates
from bayesfuse.models.classifier import CLASSIFIERS
from bayesfuse.models.fusion import DEEP, FUSIONS, Fusion
from bayesfuse.models.fusion.text_bitransformer import TextBitransformerFusion, TextTransformer
from bayesfuse.models.graph_branch import (
    GRAPH,
    GraphSettings,
    build_gat,
    entering_beside,
    joined,
    node_features,
    presence_of,
)
from bayesfuse.models.relation_attention import RelationAttention
from bayesfuse.models.standardise import Standardise
from bayesfuse.models.steps import mean_over_steps

MODELS = ("fusion", "gat", "mm-gatbt")
"""What a network joins: all modalities; what items hear, alone; that and what they do not hear."""


@final
class FusionNetwork(nn.Module):
    r"""Puts standardising, a fusion rule and a classifier together.

    .. math:: \text{logit}_{ic} = f_{\text{classifier}}(
        f_{\text{fusion}}(f_{\text{standardise}}(x_i), \text{observed}_i))_c

    With a graph, what an item hears of its neighbours enters the fusion as one more modality,
    `graph`, which is observed of the items that hear anybody (see `presence_of`). In the model
    `mm-gatbt` it takes the place of the modalities that items hear of each other: with images
    heard, the fusion joins the text with the image-based node embedding. In the model `gat` the
    classifier reads this embedding alone. In both it is :math:`\text{LeakyReLU}` of what the last
    layer of attention returns.

    It is a plain module: it draws nothing at random but dropout in training mode, works under
    `torch.func.functional_call` and, in evaluation mode, under `torch.func.vmap` over stacked
    parameters. Its children `standardise`, `fusion` and `classifier` give the parameters their
    names, such as `fusion.text.weight`; so does `gat`, the layers of graph attention, if any.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns.
        num_labels: Number of labels.
        model: A name in `MODELS`.
        fusion: A name in `FUSIONS`; of no account for the model `gat`.
        sequences: Modalities that come step by step; of a fusion rule that reads steps only. What
            items hear of each other is the mean over their steps.
        transformer_layers: Layers of each transformer of a fusion rule that has some.
        transformer: A pretrained transformer to join a text with the rest, whose features are
            tokens; then `fusion`, `transformer_layers` and `hidden` are of no account.
        hidden: Width of the fused vector.
        classifier: A name in `CLASSIFIERS`.
        classifier_hidden: Units of the maxout layer (`maxout` only).
        pieces: Linear pieces of a maxout unit (`maxout` only).
        dropout: Probability in [0, 1) of dropping an input of a classifier's layer in training.
        label_vectors: See `output_layer`.
        graph: How items hear their neighbours; None for a network without a graph.
        auxiliary: What auxiliary losses count for; if None, the rule's own, if it has one, for 1.

    Attributes:
        names: The modalities, in order, without `graph`.
        num_labels: Number of labels.
        gat: The layers of graph attention, of one graph or of one a relation; or None.
        fusion: The fusion rule, or None for the model `gat`.
        auxiliary: The auxiliary losses, by name.
        transformer: What was given.
        fixed_logit: Buffer, `labels`: a constant logit, or NaN where the logit is learned.

    Raises:
        ConfigError: If a name is unknown (with the nearest one that is known) or a number is out
            of range; if a model lacks a graph, or would leave a modality unread.

    Example:
        >>> network = FusionNetwork({"text": 3, "image": 2}, num_labels=4, fusion="gmu", hidden=8)
        >>> inputs = {"text": torch.zeros(5, 3), "image": torch.zeros(5, 2)}
        >>> network(inputs, torch.ones(5, 2, dtype=torch.bool)).shape
        torch.Size([5, 4])

    Reference: Seo et al. 2022 (MM-GATBT), figure 2 and eq. 7, for the models with a graph.
    """

    fixed_logit: Tensor
    fusion: Fusion | None

    def __init__(
        self,
        widths: Mapping[str, int],
        num_labels: int,
        *,
        model: str = "fusion",
        fusion: str = "gmu",
        sequences: Collection[str] = (),
        transformer_layers: int = 2,
        transformer: TextTransformer | None = None,
        hidden: int = 256,
        classifier: str = "maxout",
        classifier_hidden: int = 256,
        pieces: int = 2,
        dropout: float = 0.5,
        label_vectors: str = "learned",
        graph: GraphSettings | None = None,
        auxiliary: AuxiliarySettings | None = None,
    ) -> None:
        super().__init__()
        if model not in MODELS:
            raise ConfigError(unknown_option("model", model, MODELS))
        if fusion not in FUSIONS:
            raise ConfigError(unknown_option("fusion rule", fusion, FUSIONS))
        if classifier not in CLASSIFIERS:
            raise ConfigError(unknown_option("classifier", classifier, CLASSIFIERS))
        self.names = tuple(widths)
        self.num_labels, self.model, self.transformer = num_labels, model, transformer
        self.sequences = tuple(name for name in widths if name in sequences)
        self.standardise = Standardise(widths, self.sequences)
        self.graph, self.gat = graph, None
        entering = entering_beside(model, widths, graph)
        if graph is not None:
            self.gat = build_gat(graph, widths)
            entering[GRAPH] = self.gat.out_features
        self.entering = tuple(entering)
        if model == "gat":
            self.fusion, width = None, entering[GRAPH]
        elif transformer is not None:
            steps = [name for name in self.sequences if name in entering]
            again = fusion == "mmbt"
            self.fusion = TextBitransformerFusion(entering, transformer, steps, restart=again)
            width = self.fusion.out_features
        else:
            options: dict[str, Any] = {}
            if self.sequences:
                options["sequences"] = [name for name in self.sequences if name in entering]
            if fusion in DEEP:
                options["layers"] = transformer_layers
            self.fusion = FUSIONS[fusion](entering, hidden, **options)
            width = self.fusion.out_features
        sizes: dict[str, Any] = {"hidden": classifier_hidden, "pieces": pieces, "dropout": dropout}
        self.classifier = CLASSIFIERS[classifier].from_options(
            width, num_labels, **sizes, label_vectors=label_vectors
        )
        tokens = None if transformer is None else transformer.modality
        self.auxiliary = build_auxiliary(auxiliary, self.fusion, num_labels, tokens)
        self.register_buffer("fixed_logit", torch.full((num_labels,), torch.nan))

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        blocks: Blocks | None = None,
        heard: Tensor | None = None,
        auxiliary: Auxiliary | None = None,
        shift: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Return the logit of every label for every item.

        Args:
            inputs: Modality to its features, each `items x features`; of sequences steps, too.
            observed: Boolean, `items x modalities`, columns in the order of `names`; where it is
                False the features change nothing, whatever they hold.
            blocks: Whom the items hear; for a network with a graph, and no other.
            heard: What they hear, `items x gat.out_features`, where that is known already (see
                `hear_draws`).
            auxiliary: Where to leave the terms of the auxiliary losses, in training.
            shift: How far items are moved; see `Standardise.forward`.

        Returns:
            Logits, `items x labels`.

        Raises:
            FeatureError: If names or shapes are not those of `widths`, or there are blocks for a
                network without a graph, or none for one with it.
        """
        standardised = self.standardise(inputs, observed, shift)
        presence: dict[str, Tensor] = {}
        if self.gat is not None or blocks is not None:
            own = {name: mean_over_steps(value) for name, value in standardised.items()}
            reads = self._reads(own, blocks, known=heard is not None)
            heard = self.gat(*reads) if heard is None else heard  # type: ignore[misc]
            standardised[GRAPH] = heard if self.model == "fusion" else F.leaky_relu(heard)
            hears, presence = presence_of(self.graph, blocks)
            observed = torch.cat([observed, hears[:, None]], dim=1)
        if self.fusion is None:
            fused = standardised[GRAPH]
        else:
            columns = [column for column, n in enumerate(standardised) if n in self.entering]
            entering = {name: standardised[name] for name in self.entering}
            read = (entering, observed[:, columns], presence)
            if auxiliary is None or not len(self.auxiliary):
                fused = self.fusion(*read)
            else:  # its own steps, so that the layers of modalities are run once
                parts = self.fusion.activate(*read)
                fused = self.fusion.fuse(*parts)
                values, said = ([mean_over_steps(one) for one in part] for part in parts)
                given = (self.fusion, read[1], values, said, fused)
                auxiliary.fill(self.auxiliary, self._fixed, *given)
        logits: Tensor = self.classifier(fused)
        return self._fixed(logits)

    def _fixed(self, logits: Tensor) -> Tensor:
        """Return logits with those in place that training can say nothing about."""
        return torch.where(self.fixed_logit.isnan(), logits, self.fixed_logit)

    @property
    def relations(self) -> dict[str, int]:
        """Return the relations that count by themselves, to their bits in the relation mask."""
        return {} if self.graph is None else dict(self.graph.relations)

    def hear_draws(
        self,
        weights: Sequence[Mapping[str, Tensor]],
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        blocks: Blocks,
    ) -> Tensor:
        """Return what the items hear under several draws of the weights, in one batched call.

        Args:
            weights: For each draw, parameter name (`gat.0.weight`) to its value; those of other
                parts count for nothing here.
            inputs: See `forward`.
            observed: See `forward`.
            blocks: See `forward`.

        Returns:
            `draws x items x gat.out_features`.

        Raises:
            FeatureError: See `forward`.
        """
        return self._draws(weights, inputs, observed, blocks)

    def relation_attention(
        self,
        weights: Sequence[Mapping[str, Tensor]],
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        blocks: Blocks,
    ) -> Tensor:
        """Return how much each item attends to each relation, under several draws.

        Args:
            weights: See `hear_draws`.
            inputs: See `forward`.
            observed: See `forward`.
            blocks: See `forward`.

        Returns:
            `draws x items x relations` (`gat.names`), in [0, 1], without dropout: 0 for a relation
            in which the item has no neighbour, and 1 in all if it has any.

        Raises:
            FeatureError: See `forward`.
            ConfigError: If all relations are one graph to the network.
        """
        if not isinstance(self.gat, RelationAttention):
            raise ConfigError(
                "The network has no attention over relations: they are one graph to it, or it has "
                'none. Fit with --graph-relations each (graph_relations="each").'
            )
        training = self.gat.training
        self.gat.eval()
        try:
            return self._draws(weights, inputs, observed, blocks, True)
        finally:
            self.gat.train(training)

    def reads(
        self, inputs: Mapping[str, Tensor], observed: Tensor, blocks: Blocks
    ) -> tuple[Any, ...]:
        """Return what `gat` is called on: features of the nodes, graphs, and what asks, if any.

        Args:
            inputs: See `forward`.
            observed: See `forward`.
            blocks: See `forward`.

        Raises:
            FeatureError: See `forward`.
        """
        found = self.standardise(inputs, observed)
        return self._reads({name: mean_over_steps(x) for name, x in found.items()}, blocks)

    def _draws(
        self,
        weights: Sequence[Mapping[str, Tensor]],
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        blocks: Blocks,
        *explain: bool,
    ) -> Tensor:
        """Return what `gat` says under several draws, `draws x items x ...`."""
        reads = self.reads(inputs, observed, blocks)
        assert self.gat is not None
        random = [name for name in weights[0] if name.startswith("gat.")]
        if not random:
            same: Tensor = self.gat(*reads, *explain)
            return same.expand(len(weights), *same.shape)
        draws = {n.removeprefix("gat."): torch.stack([w[n] for w in weights]) for n in random}
        found: Tensor = self.gat.forward_draws(draws, *reads, *explain)
        return found

    def _reads(
        self, standardised: Mapping[str, Tensor], blocks: Blocks | None, known: bool = False
    ) -> tuple[Any, ...]:
        """Return what `gat` is called on; nothing if it is known what it says."""
        if self.gat is None or blocks is None:
            got, expected = ("no graph", "one") if blocks is None else ("a graph", "none")
            raise FeatureError(
                f"The items come with {got}; the network expects {expected}. Is it the network "
                "that was fitted on items such as these?"
            )
        if known:
            return ()
        assert self.graph is not None
        nodes = node_features(self.standardise, self.graph.features, standardised, blocks)
        if isinstance(self.gat, RelationAttention):
            return nodes, blocks.graphs, joined(self.graph.query, standardised)
        return nodes, blocks.graphs

    def set_label_counts(self, positives: Tensor, num_items: int) -> None:
        """Start every label at its base rate, and fix those that training can say nothing about.

        A label that no training item has, or that all have, keeps the logit of its base rate for
        every item: that is all that is known about it. See `bayesfuse.models.base_rates`.

        Args:
            positives: Number of training items with each label, `labels`.
            num_items: Number of labelled training items (>= 1).

        Raises:
            ConfigError: If the shape differs or a count is not in 0..N.
        """
        rates, constant = base_rates(positives, num_items, self.num_labels)
        self.classifier.set_base_rates(rates)
        with torch.no_grad():
            self.fixed_logit.copy_(torch.where(constant, torch.logit(rates), torch.nan))
