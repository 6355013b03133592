from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from bayesfuse.config import Config, FitConfig
from bayesfuse.encoders.running import Progress
from bayesfuse.errors import BayesfuseError, CatalogError, ConfigError, UserError
from bayesfuse.inference.history import Step
from bayesfuse.terminal import (
    comparing_progress,
    encoding_progress,
    errors_to_exit_codes,
    options_of,
    refuse_to_overwrite,
    rows_progress,
    training_progress,
    warn,
    without_effect,
)


class Toy(Config):
    """A config of every kind of field."""

    colour: str = Field("red", description="Which colour.")
    half_life: float = Field(0.5, gt=0, description="In years.")
    count: int | None = Field(None, description="How many.")
    scales: float | str = Field(1.0, description="Or a word.")
    names: tuple[str, ...] = Field(("a", "b"), description="Several.")
    table: dict[str, float] = Field({"x": 1.0}, description="By name.")


def toy(without: tuple[str, ...] = ()) -> tuple[typer.Typer, list[dict[str, Any]]]:
    """Return an app of one command, and the list of the flags that its calls were given."""
    app, calls = typer.Typer(add_completion=False), []

    @app.command()
    @options_of(Toy, without=without)
    def paint(
        what: str, loud: Annotated[bool, typer.Option(help="Loud.")] = False, flags: Any = None
    ) -> None:
        """Paint."""
        calls.append({"what": what, "loud": loud, **flags})
        Toy.parse(flags, "flags")

    return app, calls


def test_only_what_was_given_is_passed_on() -> None:
    app, calls = toy()
    assert CliRunner().invoke(app, ["wall"]).exit_code == 0
    assert CliRunner().invoke(app, ["wall", "--loud", "--half-life", "2"]).exit_code == 0
    assert calls == [
        {"what": "wall", "loud": False},
        {"what": "wall", "loud": True, "half_life": "2"},
    ]


def test_help_shows_each_fields_kind_default_and_description() -> None:
    shown = " ".join(
        CliRunner().invoke(toy()[0], ["--help"], env={"COLUMNS": "200"}).stdout.split()
    )
    assert "--colour TEXT Which colour. [default: (red)]" in shown
    assert "--half-life NUMBER In years. [default: (0.5)]" in shown
    assert "--count INTEGER How many. --" in shown or "--count INTEGER How many. │" in shown
    assert "--scales TEXT Or a word." in shown
    assert "[default: (a,b)]" in shown
    assert "[default: (x=1.0)]" in shown


def test_a_field_without_a_flag_is_unknown() -> None:
    app, calls = toy(without=("colour",))
    result = CliRunner().invoke(app, ["wall", "--colour", "red"])
    assert result.exit_code == 2
    assert "--colour" in result.stderr
    assert CliRunner().invoke(app, ["wall", "--count", "1"]).exit_code == 0
    assert len(calls) == 1


def test_a_bad_value_ends_with_its_message_on_stderr() -> None:
    result = CliRunner().invoke(toy()[0], ["wall", "--half-life", "long", "--count", "0.5"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: In the flags:\n"
        "  - --half-life: expected a number; got 'long'.\n"
        "  - --count: expected a whole number; got '0.5'.\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("Mend it."), 2, "Error: Mend it.\n"),
        (ConfigError("Unknown."), 2, "Error: Unknown.\n"),
        (CatalogError("a.csv", ["One.", "Two."]), 2, "2 problems found.\n  - One.\n  - Two.\n"),
        (BayesfuseError("The loss is nan."), 1, "Error: The loss is nan.\n"),
        (OSError(errno.EACCES, "Permission denied", "run"), 1, "Permission denied: 'run'\n"),
        (KeyboardInterrupt(), 130, "Interrupted; nothing was written.\n"),
    ],
)
def test_errors_have_exit_codes(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught, errors_to_exit_codes():
        raise error
    assert caught.value.exit_code == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(said)


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), TypeError("bug")])
def test_a_closed_pipe_and_a_bug_are_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)), errors_to_exit_codes():
        raise error


def test_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    warn("Take care.")
    assert capsys.readouterr() == ("", "Warning: Take care.\n")


# ---- settings without effect ----


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"elbo": "none", "prior": "normal", "draws": 8}, ["--prior, --draws: no effect with"]),
        ({"elbo": "meanfield", "annealing_epochs": 3}, ["--annealing-epochs: no effect with"]),
        ({"annealing": "linear", "annealing_cycles": 3}, ["for --annealing cyclical only."]),
        ({"guide": "normal", "rank": 3}, ["--rank: no effect with --guide normal"]),
        ({"classifier": "linear", "pieces": 3}, ["--pieces: no effect with --classifier linear"]),
        ({"elbo": "none", "beta_start": 0, "rank": 2}, ["--rank", "--beta-start", "--rank"]),
        (
            {"graph": "people", "graph_query": ("text",)},
            ["--graph-query: no effect with --graph-relations union; for --graph-relations each"],
        ),
        (
            {"graph": "people", "graph_relations": "each", "graph_edge_bias": "relation"},
            ["--graph-edge-bias: no effect with --graph-relations each"],
        ),
        (
            {"model": "mm-gatbt", "graph": "people", "fusion": "gmu"},
            ["--fusion: no effect with --model mm-gatbt; for --model fusion only."],
        ),
        ({"model": "gat", "graph": "people", "hidden": 8}, ["--hidden: no effect with --model"]),
        (
            {"model": "mm-gatbt", "graph": "people", "finetune": {"text": ("1",)}, "hidden": 8},
            ["--hidden: no effect where the text's own network is trained."],
        ),
        ({"similarity_beta": 3.0}, ["--similarity-beta: no effect without --multi-similarity."]),
        ({"focal_gamma": 3.0}, ["--focal-gamma: no effect with --loss bce; for --loss focal"]),
        (
            {"transformer_layers": 3},
            ["no effect with --fusion gmu; for --fusion bitransformer,"],
        ),
    ],
)
def test_settings_without_effect_are_told(given: dict[str, Any], said: list[str]) -> None:
    found = without_effect(FitConfig(**given), given)
    assert len(found) == len(said)
    assert all(words in sentence for words, sentence in zip(said, found, strict=True))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"elbo": "none", "fusion": "gmu", "dropout": 0.1, "classifier_learning_rate": 0.1},
        {"elbo": "trace", "prior_scale": 0.1, "temperature": 0.5, "num_particles": 2},
        {"elbo": "none", "loss": "focal", "focal_alpha": 0.5, "label_smoothing": 0.1},
        {"guide": "lowrank", "rank": 3},
        {"guide": "laplace-tied", "rank": 2},
        {"annealing": "cyclical", "annealing_cycles": 3, "beta_start": 0},
        {"graph": "people", "graph_relations": "each", "graph_query": ("text",)},
        {"model": "mm-gatbt", "graph": "people", "hidden": 8, "transformer_layers": 1},
        {"fusion": "bitransformer", "transformer_layers": 1},
    ],
)
def test_settings_with_an_effect_are_not(given: dict[str, Any]) -> None:
    assert without_effect(FitConfig(**given), given) == []


# ---- progress ----


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("progress", [encoding_progress, lambda: rows_progress(3)])
def test_no_terminal_no_progress(
    progress: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with progress() as shown:
        assert shown is None
    with training_progress(3) as bar:
        assert bar == (None, None)
    with comparing_progress() as fits:
        assert fits == (None, None)
    assert capsys.readouterr() == ("", "")


def terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make stderr a terminal, for the rest of the test (pytest sets its own before)."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    return stream


def test_training_shows_where_it_is_and_how_good(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of_80_columns(monkeypatch)
    with training_progress(40) as bar:
        assert bar.on_step is not None
        assert bar.on_encoding is not None
        bar.on_encoding(Progress("text", 30, 90, 10))
        bar.on_step(Step(7, 80, 2, 3.25, 1234.5, 0.5, float("nan")))
        bar.on_step(Step(8, 80, 3, 2.5, 1233.25, 0.75, 0.5678))
    last = [line for line in terminal.getvalue().splitlines() if "epoch 4/40" in line][-1]
    for part in ("NLL 2.500", "KL 1233.25", "β 0.75", "val NLL 0.5678", "left"):
        assert part in last
    assert "nan" not in terminal.getvalue()
    assert "…" not in terminal.getvalue()  # it fits into 80 columns


def test_training_of_several_members_shows_whose_epoch_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = terminal_of_80_columns(monkeypatch)
    with training_progress(40, 5) as bar:
        assert bar.on_step is not None
        bar.on_step(Step(8, 80, 3, 2.5, 1233.25, 0.75, 0.5678, member=1))
    assert "2/5: epoch 4/40" in terminal.getvalue()
    assert "…" not in terminal.getvalue()


def test_comparing_shows_the_fits_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of_80_columns(monkeypatch)
    with comparing_progress() as bar:
        assert bar.on_fit is not None
        assert bar.on_encoding is not None
        bar.on_encoding(Progress("text", 30, 90, 10))
        bar.on_fit(3, 16)
    assert "3 of 16 fits" in terminal.getvalue()


def test_predicting_shows_the_rows_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of_80_columns(monkeypatch)
    with rows_progress(12_000) as on_rows:
        assert on_rows is not None
        on_rows(3_000)
    assert "3,000 of 12,000 rows" in terminal.getvalue()
    assert "predicting" in terminal.getvalue()


def test_encoding_shows_what_is_done_and_what_was_new(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of_80_columns(monkeypatch)
    with encoding_progress() as show:
        assert show is not None
        show(Progress("text", 2_000, 8_000, 150))
        show(Progress("image", 10, 8_000, 10))
    assert "encoding text" in terminal.getvalue()
    assert "2,000 of 8,000 (150 new)" in terminal.getvalue()
    last = [line for line in terminal.getvalue().splitlines() if "encoding image" in line][-1]
    assert "10 of 8,000 (10 new)" in last
    assert "left" in last
    assert "…" not in terminal.getvalue()


def test_flags_of_fine_tuning_need_fine_tuning() -> None:
    given = {"layer_decay": 0.5, "gradient_checkpointing": True}
    (told,) = without_effect(FitConfig(**given), given)
    assert told == "--layer-decay, --gradient-checkpointing: no effect without --finetune."
    given |= {"finetune": "text=1"}
    assert without_effect(FitConfig.parse(given), given) == []


# ---- what is there already ----


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    refuse_to_overwrite(tmp_path / "new")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path, advice in ((tmp_path, "Choose another --out."), (tmp_path / "link", "Go away.")):
        with pytest.raises(UserError) as caught:
            refuse_to_overwrite(path, advice)
        assert str(caught.value) == f"{path} exists already and is left as it is. {advice}"
