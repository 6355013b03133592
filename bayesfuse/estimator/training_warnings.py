"""What a user should know of how a classifier was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier


def training_warnings(classifier: FusionClassifier) -> list[str]:
    """Return what a user should know of how a classifier was trained, one sentence each."""
    results = classifier.results_
    found = list(dict.fromkeys(note for result in results for note in result.notes))
    last = results[-1]
    if last.stopped == "interrupted":
        kept = f"epoch {last.best_epoch + 1}" if last.best_epoch >= 0 else "the first steps"
        found.append(f"Training was interrupted; the model of {kept} is kept.")
        wanted = classifier.config_.members
        if wanted > 1:
            found.append(f"The mixture has {len(results)} of the {wanted} members asked for.")
    if not all(result.annealed for result in results):
        found.append(
            "The model is from before the annealing has ended, so its KL counts for less than "
            f"the temperature {classifier.temperature:g}: its intervals may be too narrow."
        )
    if classifier.temperature != 1 and classifier.elbo != "none":
        found.append(
            f"The posterior has temperature {classifier.temperature:g}, not 1: it is "
            f"{'colder' if classifier.temperature < 1 else 'warmer'} than Bayes' rule says."
        )
    if classifier.loss != "bce" or classifier.label_smoothing > 0:
        found.append(
            f"The loss {classifier.loss} with label smoothing {classifier.label_smoothing:g} is no "
            "likelihood: what it learns are scores in [0, 1], in the order of the probabilities "
            "at best. --recalibrate isotonic brings them nearer."
        )
    beside = classifier.config_.beside_likelihood
    if beside and classifier.elbo != "none":
        found.append(
            f"With {' and '.join(beside)} beside the likelihood the posterior is that of all "
            "of it: its intervals are not those of the labels' model."
        )
    weighting = classifier.config_.weighting
    if weighting in {"positive", "balanced"}:
        found.append(
            f"With class weights {weighting} the probabilities are those of a reweighted problem, "
            "in which every label is about as common as not: far above how often tags are true."
        )
    elif weighting != "none":
        found.append(
            f"With class weights {weighting} the posterior is that of a reweighted problem: its "
            "intervals are not those of the labels' model."
        )
    if classifier.config_.reads_steps and not classifier.model_.network.sequences:
        found.append(
            f"--fusion {classifier.fusion}: no modality is a sequence, so there is no attention "
            "over steps; vectors are joined as they come. --keep-sequence text,image keeps steps."
        )
    if classifier.recalibration_ is not None:
        found.append(
            f"The probabilities were recalibrated ({classifier.recalibration_.method}) on the val "
            "items, whose own scores look better for it than those of others will."
        )
    if classifier.links_ is not None:
        found += classifier.links_.graph.warnings
    if classifier.links_ is not None and classifier.graph_relations == "each":
        heard = classifier.model_.network.relations
        names = [name for name in classifier.links_.graph.relation_names if name not in heard]
        if names:
            found.append(
                f"No training item has a neighbour by {', '.join(names)}: nothing could be learned "
                f"of {'them' if len(names) > 1 else 'it'}, and nothing of it is heard."
            )
    return found
