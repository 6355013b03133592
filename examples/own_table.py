"""From a folder of pictures and a CSV to a report: runs the four commands of own_table.md.

    python examples/own_table.py SHOP

Makes up a small shop in the folder SHOP (which must not exist): `items.csv`, `new.csv` and
`photos/`. One photo is broken, and one is missing. Then it runs the commands of own_table.md there,
as they stand, and prints what they print.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

TAGS = {
    "kitchen": ("tea", "bread", "pan", "oven", "cup"),
    "garden": ("plant", "soil", "rain", "seed", "spade"),
    "gift": ("birthday", "ribbon", "friend", "wrapped", "surprise"),
}
COLOURS = {"kitchen": (200, 120, 60), "garden": (60, 150, 70), "gift": (190, 60, 140)}
PRICES = {"kitchen": 30.0, "garden": 60.0, "gift": 12.0}


def make_shop(folder: Path, num_items: int = 240, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    (folder / "photos").mkdir(parents=True)
    rows = []
    for i in range(num_items):
        tags = [tag for tag in TAGS if rng.random() < 0.4] or ["gift"]
        words = [str(word) for tag in tags for word in rng.choice(TAGS[tag], 4)]
        photo = f"photos/{i:03}.jpg"
        pixels = rng.normal(COLOURS[tags[0]], 40, (60, 80, 3)).clip(0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / photo)
        rows.append(
            {
                "sku": f"A{i:03}",
                "name": f"{words[0].title()} {i}",
                "description": " ".join(rng.permutation(words)),
                "photo": photo,
                "price": "" if i % 17 == 3 else f"{rng.gamma(4, PRICES[tags[0]] / 4):.2f}",
                "country": rng.choice(["NO", "DE", "PT"]),
                "tags": "|".join(tags),
                "split": ("train", "train", "train", "val")[i % 4],
            }
        )
    (folder / "photos" / "007.jpg").write_bytes(b"this is no photo")
    (folder / "photos" / "011.jpg").unlink()
    shop = pd.DataFrame(rows)
    shop[:-20].to_csv(folder / "items.csv", index=False)
    shop[-20:].drop(columns=["tags", "split"]).to_csv(folder / "new.csv", index=False)


def commands() -> list[list[str]]:
    page = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    return [shlex.split(line[2:]) for line in page.splitlines() if line.startswith("$ bayesfuse ")]


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the four commands of own_table.md.")
    parser.add_argument("shop", type=Path, help="folder to make")
    folder = parser.parse_args().shop
    make_shop(folder)
    for _, *arguments in commands():
        print("$ bayesfuse", shlex.join(arguments), flush=True)
        command = [sys.executable, "-m", "bayesfuse.cli", *arguments]
        subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    main()
