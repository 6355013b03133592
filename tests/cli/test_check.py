"""`bayesfuse check`: text, JSON, and the netCDF file that ArviZ reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bayesfuse.inference.idata import load
from tests.cli.conftest import Ran

Bayesfuse = Callable[..., Ran]
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # ArviZ 0.23, of its next version
FEW = ["--replicates", "100"]


@pytest.mark.slow
def test_text_and_json_say_the_same(fitted: Path, place: Path, bayesfuse: Bayesfuse) -> None:
    text, told = bayesfuse("check", fitted, *FEW), bayesfuse("check", fitted, *FEW, "--json")
    assert (text.code, text.err, told.code, told.err) == (0, "", 0, "")
    assert text.out.startswith("4 posterior draws\n")
    assert "posterior predictive check: 18 items, 4 draws, 100 replicates" in text.out
    found = told.json
    assert (found["num_items"], found["draws"], found["split"]) == (18, 4, "val")
    for one in found["posterior"]["families"]:
        assert f"{one['p']:.3f}" in text.out
    names = [s["name"] for s in found["posterior"]["statistics"] if s["family"] == "label rate"]
    assert names == ["Comedy", "Drama", "Horror"]
    rates = pd.read_csv("films.csv").query("part == 'val'").genres.str.contains("Horror").mean()
    horror = next(s for s in found["posterior"]["statistics"] if s["name"] == "Horror")
    assert horror["observed"] == pytest.approx(rates)
    assert not list(Path().glob("*.nc"))


def test_arviz_reads_what_it_writes(fitted: Path, place: Path, bayesfuse: Bayesfuse) -> None:
    films = pd.read_csv("films.csv")
    films.loc[films["part"] == "val", "genres"] = films["genres"].where(films.index % 2 == 0)
    films.to_csv("half.csv", index=False)
    args = ["check", fitted, "half.csv", *FEW, "--split-column", "part", "-o", "new/idata.nc"]
    done = bayesfuse(*args)
    assert done.code == 0, done.err
    assert done.out.endswith("\nFor ArviZ: new/idata.nc\n")
    found = load(Path("new/idata.nc"))
    val = films[films["part"] == "val"]
    known, unknown = val[val["genres"].notna()], val[val["genres"].isna()]
    assert found["observed_data"].item.values.tolist() == known["id"].tolist()
    assert found["predictions"].item.values.tolist() == unknown["id"].tolist()
    assert found["constant_data"].has_image.values.tolist() == [
        int(isinstance(path, str)) for path in known["poster"]
    ]
    assert found["posterior"].sizes["draw"] == 4
    again = bayesfuse(*args)
    assert (again.code, again.out) == (2, "")
    assert "new/idata.nc exists already" in again.err


@pytest.mark.slow
def test_pictures_are_made(fitted: Path, place: Path, bayesfuse: Bayesfuse) -> None:
    args = ["check", fitted, *FEW, "--guide-draws", "0", "--figures", "pictures"]
    done = bayesfuse(*args)
    assert (done.code, done.err) == (0, "")
    files = sorted(Path("pictures").iterdir())
    assert done.out.endswith(f"\n{len(files)} pictures: pictures\n")
    assert {path.suffix for path in files} == {".svg", ".png"}
    told = bayesfuse(*args[:-1], "more", "--json").json["figures"]
    assert sorted(told) == [f"more/{path.name}" for path in files]
    assert "Comedy" in Path("pictures/posterior-label-rate.svg").read_text()
    again = bayesfuse(*args)
    assert (again.code, again.out) == (2, "")
    assert "pictures exists already and is left as it is. Choose another --figures." in again.err


def test_a_run_without_posterior_is_checked_too(
    place: Path, bayesfuse: Bayesfuse, fitted: Path
) -> None:
    twin = ["--config", fitted / "config.json", "--elbo", "none"]
    assert bayesfuse("fit", "films.csv", *twin, "-o", "twin").code == 0
    done = bayesfuse("check", "twin", *FEW, "--json", "-o", "twin.nc")
    assert done.code == 0, done.err
    assert done.json["prior"] is None
    assert "posterior" not in load(Path("twin.nc"))
