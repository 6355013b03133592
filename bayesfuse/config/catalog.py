"""How to read a catalogue."""

from __future__ import annotations

from pydantic import Field

from bayesfuse.config.base import Config, Names

MODALITY_SETTINGS = ("text", "image", "tabular", "categories", "features", "modalities")
"""Those that say where raw cells and features are."""


class TableConfig(Config):
    """How to read a catalogue that is one file; a folder says it all in its catalog.toml."""

    id: str | None = Field(None, description="Column of the items' ids.")
    title: str | None = Field(None, description="Column of the items' titles.")
    text: str | None = Field(None, description="Column of the text modality.")
    image: str | None = Field(None, description="Column of the image modality: bytes or paths.")
    tabular: Names | None = Field(
        None, description="Columns of the tabular modality: numbers and categories, as year,brand."
    )
    categories: Names | None = Field(
        None, description="Those of the --tabular columns whose numbers are names, as a code."
    )
    labels: Names | None = Field(
        None, description="Column of the labels; several if there are several sources, as a,b."
    )
    label_sources: str | None = Field(
        None,
        description="What several sources of labels count for: by how they agree on an item "
        "(agreement), or equal; agreement if none.",
    )
    people: Names | None = Field(None, description="Columns of people shared among items.")
    delimiter: str | None = Field(None, description="What separates the columns of a CSV file.")
    labels_separator: str | None = Field(
        None, description="What separates the labels in a CSV cell."
    )
    label_set: Names | None = Field(
        None, description="The labels, comma-separated; a label outside them is an error."
    )
    empty_labels: str | None = Field(
        None, description="An item without labels: unknown (left out of training) or none."
    )
    people_separator: str | None = Field(
        None, description="What separates the people in a CSV cell."
    )
    features: Names | None = Field(
        None, description="Features of modalities: NAME=FILE or NAME=FILE:MEMBER,..."
    )
    modalities: Names | None = Field(None, description="Use these modalities only, as text,image.")


class CatalogConfig(TableConfig):
    """How to read a catalogue for fitting: with the column of its split."""

    split: str | None = Field(None, description="Column of the split: train, val or test.")
