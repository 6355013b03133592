"""Who is heard: linked in the fit, kept with the run, and linked to whatever comes later."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

from bayesfuse import FusionClassifier
from bayesfuse.config import CatalogConfig, FitConfig, ModelConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import CatalogError, ConfigError, FeatureError, RunFolderError
from bayesfuse.estimator.explanations import iter_explanations
from bayesfuse.estimator.links import FILE, Links, check_finetuned_nodes
from bayesfuse.estimator.workflow import Run, evaluate_run, fit_run, open_run
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.report.collect import collect

NUM_ITEMS = 160
SMALL = {
    "graph": "people",
    "hidden": 6,
    "classifier_hidden": 6,
    "graph_heads": 2,
    "graph_width": 3,
    "epochs": 3,
    "annealing_epochs": 1,
    "batch_size": 40,
    "learning_rate": 0.03,
    "classifier_learning_rate": 0.03,
    "draws": 6,
    "val_draws": 2,
    "device": "cpu",
}


def make_table(num_items: int = NUM_ITEMS, seed: int = 0, first: int = 0) -> pd.DataFrame:
    """Return items of three genres; directors and writers keep to one, and some items have none."""
    rng = np.random.default_rng(seed)
    genres = rng.integers(3, size=num_items)
    directors = [f"Dîr {g}{rng.integers(6)}" if rng.random() < 0.8 else "" for g in genres]
    writers = [f"Writer {g}{rng.integers(9)}" if rng.random() < 0.5 else "" for g in genres]
    return pd.DataFrame(
        {
            "key": [f"a{first + i}" for i in range(num_items)],
            "name": [f"Item {first + i}" for i in range(num_items)],
            "genres": [["War", "Love", "Sea"][g] for g in genres],
            "director": directors,
            "writer": writers,
            "part": rng.choice(["train", "val", "test"], num_items, p=[0.6, 0.2, 0.2]),
        }
    )


def make_features(table: pd.DataFrame, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    one_hot = pd.get_dummies(table["genres"])[["Love", "Sea", "War"]].to_numpy(float)
    return {
        "text": (one_hot + 2 * rng.normal(size=one_hot.shape)).astype(np.float32),
        "image": np.hstack([one_hot, one_hot]) + rng.normal(size=(len(table), 6)),
        "image_observed": rng.random(len(table)) < 0.9,
    }


def write(folder: Path, table: pd.DataFrame, features: dict[str, np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / "items.csv", index=False)
    np.savez(folder / "features.npz", **features)
    return folder / "items.csv"


def flags(folder: Path, **changes: object) -> dict[str, object]:
    given = {
        "id": "key",
        "title": "name",
        "labels": "genres",
        "split": "part",
        "people": ("director", "writer"),
        "features": (
            f"text={folder}/features.npz:text",
            f"image={folder}/features.npz:image",
        ),
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    """Return the folder of the catalogue of the fit, and of its run."""
    folder = tmp_path_factory.mktemp("links")
    table = make_table()
    write(folder, table, make_features(table))
    config = FitConfig.parse({**SMALL, **flags(folder)})
    fit_run(str(folder / "items.csv"), folder / "run", config)
    return folder


@pytest.fixture
def run(old, tmp_path) -> Path:
    shutil.copytree(old / "run", tmp_path / "run")
    return tmp_path / "run"


def read(folder: Path, **changes: object) -> Catalog:
    options = flags(folder, **changes)
    options["features"] = dict(part.split("=") for part in options["features"])
    return Catalog.read(folder / "items.csv", **options)


def opened(old: Path, folder: Path, run: str | Path | None = None, **changes: object) -> Run:
    options = CatalogConfig.parse(flags(folder, **changes))
    return open_run(Path(run or old / "run"), str(folder / "items.csv"), options, split="all")


def proba(run: Run) -> np.ndarray:
    return run.classifier.sample_proba(run.catalog.features)


def later(folder: Path, num_items: int = 30, **changes: object) -> Path:
    """Write items that came after the fit."""
    table = make_table(num_items, seed=9, first=1000).assign(**changes)
    write(folder, table, make_features(table, seed=9))
    return folder


# ---- the fit


def test_all_items_are_nodes_and_only_labelled_ones_train(old):
    classifier = FusionClassifier.load(old / "run", "cpu")
    links = classifier.links_
    assert links.graph.num_nodes == links.nodes.num_items == len(links.ids) == NUM_ITEMS
    assert links.nodes.names == ("image",)
    assert links.titles[3] == "Item 3"
    assert classifier.model_.num_items < NUM_ITEMS
    sites = [site.name for site in classifier.model_.lifted.sites]
    assert {"gat.0.weight", "gat.0.attn_src", "gat.0.attn_dst", "fusion.graph.weight"} <= set(sites)
    assert not [name for name in sites if name.startswith("classifier")]


def test_no_label_of_val_or_test_reaches_features_graph_or_training(old):
    catalog = read(old)
    settings = {**SMALL, "epochs": 2}
    hidden = catalog.split != "train"

    def losses(labels: np.ndarray) -> tuple[list[float], FusionClassifier]:
        # the same epochs, whatever val says of them
        changed = dataclasses.replace(catalog, labels=labels)
        made = FusionClassifier(**settings).fit(changed)
        return [row.nll for row in made.history_], made

    permuted = catalog.labels.copy()
    permuted[hidden] = np.random.default_rng(0).permutation(catalog.labels[hidden])
    assert not np.array_equal(permuted, catalog.labels)
    first, one = losses(catalog.labels)
    second, other = losses(permuted)
    assert first == second
    for kept in ("indptr", "indices", "relation_mask"):
        assert np.array_equal(getattr(one.links_.graph, kept), getattr(other.links_.graph, kept))
    assert np.array_equal(
        one.links_.nodes.batch(slice(None))[0]["image"],
        other.links_.nodes.batch(slice(None))[0]["image"],
    )
    moved = catalog.labels.copy()
    moved[~hidden] = np.random.default_rng(0).permutation(catalog.labels[~hidden])
    assert losses(moved)[0] != first  # what would be seen if one did


def test_the_same_seed_is_the_same_fit(old):
    catalog = read(old)

    def fitted(**changes: object) -> np.ndarray:
        made = FusionClassifier(**{**SMALL, "neighbour_thinning": 0.5, **changes})
        return made.fit(catalog).sample_proba(catalog)

    first = fitted()
    assert np.array_equal(first, fitted())
    assert not np.array_equal(first, fitted(seed=1))
    assert not np.array_equal(first, fitted(neighbour_thinning=0.0))


@pytest.mark.parametrize(
    "changes",
    [
        {"graph_layers": 2, "fan_out": (3, 2)},
        {"graph_features": ("all",), "graph_version": "v2"},
        {"graph_features": ("text", "image"), "self_loops": "all", "graph_dropout": 0.2},
        {"elbo": "none", "attention_dropout": 0.3},
        {"parts": ("fusion",), "fusion": "concat"},
        {"modality_dropout": 0.3, "max_group": 4},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_run_comes_back_to_the_bit(old, tmp_path, changes):
    catalog = read(old)
    fitted = FusionClassifier(**{**SMALL, "epochs": 2, **changes}).fit(catalog)
    again = FusionClassifier.load(fitted.save(tmp_path / "run"), "cpu")
    assert np.array_equal(again.sample_proba(catalog), fitted.sample_proba(catalog))
    assert again.links_.graph.warnings == fitted.links_.graph.warnings
    more = FusionClassifier.load(again.save(tmp_path / "again"), "cpu")
    assert np.array_equal(more.predict_proba(catalog), fitted.predict_proba(catalog))


def test_evaluation_and_report_work(old):
    run = opened(old, old)
    assert 0 < evaluate_run(run).nll < 1
    found = collect(old / "run", opened(old, old), "all", 4, 0)
    assert found.num_items == NUM_ITEMS


def test_features_are_kept_small_where_that_is_exact(old, tmp_path):
    with safe_open(old / "run" / FILE, "np") as file:
        assert file.get_tensor("nodes.image").dtype == np.float32
    catalog = read(old)
    rounded = {
        name: values.astype(np.float16)
        for name, values in catalog.features.batch(slice(None))[0].items()
    }
    coarse = dataclasses.replace(catalog, features=FeatureTable.from_arrays(rounded))
    saved = FusionClassifier(**{**SMALL, "epochs": 2}).fit(coarse).save(tmp_path / "run")
    with safe_open(saved / FILE, "np") as file:
        assert file.get_tensor("nodes.image").dtype == np.float16


# ---- items that come later


def test_items_that_came_later_hear_the_old_ones_that_share_their_people(old, tmp_path):
    run = opened(old, later(tmp_path / "new"))
    features = run.catalog.features
    assert isinstance(features, LinkedFeatures)
    first, second = make_table(), make_table(30, seed=9, first=1000)
    for item in range(30):
        row = features.rows[item]
        start, stop = features.graph.indptr[row : row + 2]
        heard = set(features.graph.indices[start:stop].tolist()) - {row}
        expected = {
            node
            for role in ("director", "writer")
            for node in range(NUM_ITEMS)
            if second[role][item] and second[role][item] == first[role][node]
        }
        assert heard == expected
    assert np.isfinite(proba(run)).all()


def test_the_old_catalogue_is_not_needed(old, tmp_path):
    table, folder = make_table(), tmp_path / "gone"
    source = write(folder, table, make_features(table))
    fit_run(str(source), tmp_path / "run", FitConfig.parse({**SMALL, **flags(folder)}))
    shutil.rmtree(folder)
    new = later(tmp_path / "new")
    assert np.array_equal(proba(opened(old, new, tmp_path / "run")), proba(opened(old, new)))


def test_an_old_item_does_not_hear_itself_and_stays_as_it_was(old):
    run = opened(old, old)
    links, features = run.classifier.links_, run.catalog.features
    for node in range(NUM_ITEMS):
        row = features.rows[node]
        start, stop = features.graph.indptr[row : row + 2]
        heard = features.graph.indices[start:stop].tolist()
        was = links.graph.neighbours(node).tolist()
        assert [row if other == node else other for other in was] == heard
    as_nodes = links.training(run.catalog.features)
    np.testing.assert_allclose(proba(run), run.classifier.sample_proba(as_nodes), rtol=0, atol=1e-5)


def test_an_old_item_does_not_change_by_new_ones(old, tmp_path):
    before = proba(opened(old, old))
    both = pd.concat([make_table(), make_table(30, seed=9, first=1000)])
    one, other = make_features(make_table()), make_features(make_table(30, 9, 1000), seed=9)
    write(tmp_path / "both", both, {n: np.concatenate([one[n], other[n]]) for n in one})
    after = proba(opened(old, tmp_path / "both"))
    np.testing.assert_allclose(after[:, :NUM_ITEMS], before, rtol=0, atol=1e-6)
    alone = proba(opened(old, later(tmp_path / "new")))
    np.testing.assert_allclose(after[:, NUM_ITEMS:], alone, rtol=0, atol=1e-6)


def both(folder: Path) -> Path:
    """Write the old items and 30 new ones as one catalogue."""
    table = pd.concat([make_table(), make_table(30, seed=9, first=1000)])
    one, other = make_features(make_table()), make_features(make_table(30, 9, 1000), seed=9)
    return write(folder, table, {n: np.concatenate([one[n], other[n]]) for n in one}).parent


@pytest.mark.slow
def test_old_items_hear_new_ones_if_that_is_asked_for(old, tmp_path):
    folder = both(tmp_path / "both")
    asked = read(folder)
    classifier = FusionClassifier.load(old / "run", "cpu")
    kept, updated = (classifier.link(asked, update_old=update) for update in (False, True))
    features = updated.features
    assert isinstance(features, LinkedFeatures)
    table = pd.concat([make_table(), make_table(30, seed=9, first=1000)])
    heard_new = np.zeros(len(table), np.bool_)
    for item in range(len(table)):
        row = features.rows[item]
        heard = features.graph.indices[slice(*features.graph.indptr[row : row + 2])].tolist()
        # an old item is heard as a node, a new one as a row after those of the old ones
        expected = {
            other if other < NUM_ITEMS else NUM_ITEMS + other
            for role in ("director", "writer")
            for other in range(len(table))
            if other != item
            and table[role].iloc[item]
            and table[role].iloc[item] == table[role].iloc[other]
        }
        assert set(heard) - {row} == expected
        assert len(heard) == len(set(heard))
        heard_new[item] = any(node >= 2 * NUM_ITEMS for node in set(heard) - {row})
    assert 0 < heard_new[:NUM_ITEMS].sum() < NUM_ITEMS
    difference = np.abs(classifier.sample_proba(updated) - classifier.sample_proba(kept))
    changed = difference.max(axis=(0, 2)) > 1e-6
    assert not changed[~heard_new].any()
    assert changed[:NUM_ITEMS][heard_new[:NUM_ITEMS]].mean() > 0.9


def test_a_fit_on_all_items_hears_what_an_updated_one_hears(old, tmp_path):
    folder = both(tmp_path / "both")
    links = FusionClassifier.load(old / "run", "cpu").links_
    updated = links.link(read(folder), update_old=True).features
    whole = Links.of_catalog(read(folder), FitConfig.parse({**SMALL, **flags(folder)}))
    place = np.concatenate([np.arange(NUM_ITEMS), np.arange(NUM_ITEMS), np.arange(160, 190)])
    for item, row in enumerate(updated.rows.tolist()):
        heard = updated.graph.indices[slice(*updated.graph.indptr[row : row + 2])]
        assert sorted(place[heard].tolist()) == whole.graph.neighbours(item).tolist()


def test_new_items_are_named_in_explanations(old, tmp_path):
    folder = both(tmp_path / "both")
    run = opened(old, folder)
    linked = run.classifier.link(read(folder), update_old=True)
    arguments = {"draws": 2, "seed": 0, "most": 40}
    rows = np.arange(len(linked))
    kept = pd.concat(
        t.to_pandas() for t in iter_explanations(run.classifier, run.catalog, rows, **arguments)
    )
    found = pd.concat(
        t.to_pandas() for t in iter_explanations(run.classifier, linked, rows, **arguments)
    )
    is_new = found["name"].str[1:].astype(int) >= 1000
    assert is_new.any()
    assert not (kept["name"].str[1:].astype(int) >= 1000).any()
    assert (found.loc[is_new, "shared"] != "").all()
    assert (found["id"] != found["name"]).all()


def test_a_run_without_a_graph_has_nothing_to_update(old):
    plain = FusionClassifier(epochs=1, hidden=2, device="cpu").fit(read(old))
    with pytest.raises(ConfigError, match="--update-old: the run has no graph"):
        plain.link(read(old), update_old=True)


def test_the_features_of_a_neighbour_count_and_those_of_a_stranger_do_not(old):
    catalog = opened(old, old).catalog
    classifier = FusionClassifier.load(old / "run", "cpu")
    node = int(np.argmax(classifier.links_.graph.degrees()))
    hears = classifier.links_.graph.neighbours(node)
    values, observed = classifier.links_.nodes.batch(slice(None))
    assert observed[hears, 0].any()
    before = classifier.sample_proba(catalog)
    values["image"][hears] += 3
    nodes = FeatureTable.from_arrays(values, {"image": observed[:, 0]})
    table = catalog.features
    changed = LinkedFeatures(table, nodes, table.graph, table.rows)
    difference = np.abs(classifier.sample_proba(changed) - before).max(axis=(0, 2))
    assert difference[node] > 1e-4
    strangers = [
        item
        for item in range(NUM_ITEMS)
        if not set(classifier.links_.graph.neighbours(item).tolist()) & set(hears.tolist())
    ]
    assert strangers
    assert difference[strangers].max() == 0


def test_people_of_other_spellings_link(old, tmp_path):
    upper = {"director": [n.upper().replace("Î", "I") for n in make_table(30, 9)["director"]]}
    plain, loud = later(tmp_path / "new"), later(tmp_path / "loud", **upper)
    assert np.array_equal(proba(opened(old, plain)), proba(opened(old, loud)))


def test_a_file_without_people_is_of_isolated_items_and_told(old, tmp_path):
    folder = later(tmp_path / "new")
    table = pd.read_csv(folder / "items.csv").drop(columns=["director", "writer"])
    table.to_csv(folder / "items.csv", index=False)
    run = opened(old, folder, people=None)
    told = " ".join(run.catalog.warnings)
    assert "no people (director, writer): its items hear nobody but themselves" in told
    table = run.catalog.features
    assert np.array_equal(table.graph.degrees()[table.rows], np.zeros(30))
    assert np.isfinite(proba(run)).all()


def test_a_relation_that_is_missing_or_new_is_told(old, tmp_path):
    folder = later(tmp_path / "new", actor="Dîr 00")
    run = opened(old, folder, people=("director", "actor"))
    told = " ".join(run.catalog.warnings)
    assert 'people by "actor", which the graph of the run does not know' in told
    assert "no writer given" in told


# ---- what is isolated, or loses its neighbours, is less certain


def test_isolated_items_and_repeats_work(old):
    run = opened(old, old)
    table = run.catalog.features
    isolated = np.flatnonzero(table.graph.degrees()[table.rows] == 0)
    assert len(isolated) > 3
    whole = proba(run)[:, isolated]
    again = run.classifier.sample_proba(table.take(np.repeat(isolated[:2], 3)))
    np.testing.assert_allclose(again[:, ::3], whole[:, :2], rtol=0, atol=1e-6)


# ---- mistakes


def test_a_catalogue_without_people_is_refused(old):
    with pytest.raises(CatalogError, match=r"no people, of which --graph people is made"):
        FusionClassifier(**SMALL).fit(read(old, people=None))


def test_nodes_of_a_modality_that_is_not_there(old):
    with pytest.raises(ConfigError, match=r'--graph-features: .*"imge".* Did you mean "image"'):
        FusionClassifier(**{**SMALL, "graph_features": ("imge",)}).fit(read(old))


def test_a_fan_out_of_other_layers(old):
    with pytest.raises(ConfigError, match=r"--fan-out 3,4 is of 2 layers, and --graph-layers is 1"):
        FusionClassifier(**{**SMALL, "fan_out": (3, 4)}).fit(read(old))
    made = Links.of_catalog(read(old), ModelConfig(**{**SMALL, "fan_out": 3, "graph_layers": 2}))
    assert made.fan_out == (3, 3)


def test_arrays_have_no_graph(old):
    X, y = {"image": np.random.default_rng(0).normal(size=(20, 2))}, np.eye(20, 2, dtype=int)
    with pytest.raises(FeatureError, match=r'items without links, and the graph is "people"'):
        FusionClassifier(**SMALL).fit(X, y)
    classifier = FusionClassifier.load(old / "run", "cpu")
    with pytest.raises(FeatureError, match=r"items without links"):
        classifier.predict_proba({"image": np.zeros((3, 6))})
    linked = classifier.link(read(old)).features
    with pytest.raises(FeatureError, match=r'hear others .* the graph is "none"'):
        FusionClassifier(**{**SMALL, "graph": "none"}).fit(linked, read(old).labels.astype(int))


def test_a_graph_of_ones_own_can_be_given(old):
    catalog = read(old)
    linked = FusionClassifier.load(old / "run", "cpu").link(catalog).features
    fitted = FusionClassifier(**SMALL).fit(linked, catalog.labels.astype(int))
    assert fitted.links_ is None
    assert fitted.predict_proba(linked).shape == (NUM_ITEMS, 3)


@pytest.mark.parametrize(
    ("config", "refused"),
    [
        ({"graph": "people", "finetune": "image=1"}, True),
        ({"graph": "people", "finetune": "text=1"}, False),
        ({"graph": "people", "finetune": "text=1", "graph_features": "all"}, True),
        ({"graph": "none", "finetune": "image=1"}, False),
        ({"graph": "people"}, False),
    ],
)
def test_what_neighbours_say_is_not_fine_tuned(config, refused):
    made = FitConfig.parse(config)
    if not refused:
        check_finetuned_nodes(made)
        return
    with pytest.raises(ConfigError, match=r"--finetune .* what items hear of each other"):
        check_finetuned_nodes(made)


def loading(path: Path) -> str:
    with pytest.raises(RunFolderError) as caught:
        FusionClassifier.load(path, "cpu")
    return str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_graph(run, share):
    content = (run / FILE).read_bytes()
    (run / FILE).write_bytes(content[: int(share * len(content))])
    assert FILE in loading(run)


def test_a_graph_that_is_not_there(run):
    (run / FILE).unlink()
    assert FILE in loading(run)


def edit_graph(run: Path, change) -> None:
    from safetensors.numpy import save_file

    with safe_open(run / FILE, "np") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    told = json.loads(metadata["bayesfuse-run-1"])
    change(tensors, told)
    save_file(tensors, run / FILE, {"bayesfuse-run-1": json.dumps(told)})


def test_a_graph_that_is_damaged(run):
    def cut(tensors, told):
        tensors["graph.indices"] = tensors["graph.indices"][:-3]

    edit_graph(run, cut)
    assert "does not hold the graph of this run" in loading(run)


def test_features_that_are_no_numbers(run):
    def spoil(tensors, told):
        tensors["nodes.image"] = tensors["nodes.image"].copy()
        tensors["nodes.image"][tensors["observed"][:, 0]] = np.nan

    edit_graph(run, spoil)
    assert "NaN" in loading(run)


def test_a_graph_of_another_run(run):
    def shorten(tensors, told):
        told["ids"] = told["ids"][1:]

    edit_graph(run, shorten)
    assert "its parts are of 159, 160 items" in loading(run)


def test_features_of_another_width(run):
    def narrow(tensors, told):
        tensors["nodes.image"] = np.ascontiguousarray(tensors["nodes.image"][:, 1:])

    edit_graph(run, narrow)
    assert "another width" in loading(run)


def test_a_key_is_missing(run):
    edit_graph(run, lambda tensors, told: told.pop("ids"))
    assert "'ids'" in loading(run)
