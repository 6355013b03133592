"""Fuzzing that is guided by which lines a file reaches: `make fuzz` runs it for every reader.

    python tests/fuzz/coverage_guided.py TARGET [libFuzzer's own flags]

It needs `pip install atheris` (Linux), as `make fuzz` does. It starts from good files and from
`corpus/TARGET`; a file that makes a fault is left as `crash-...` in the working directory: keep a
small one in `corpus/TARGET`, where `test_fuzzing.py` holds it mended.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))


def main(arguments: list[str]) -> None:
    """Fuzz one reader."""
    import atheris

    with atheris.instrument_imports(include=["bayesfuse"]):
        import bayesfuse.config
        import bayesfuse.data.catalog
        import bayesfuse.data.hdf5
        import bayesfuse.encoders.pictures
        import bayesfuse.graph.edges_file  # noqa: F401
    from tests.fuzz.targets import CORPUS, TARGETS

    if len(arguments) < 2 or arguments[1] not in TARGETS:
        sys.exit(f"Name a reader: {', '.join(sorted(TARGETS))}.")
    name = arguments.pop(1)
    target = TARGETS[name]
    start = Path(tempfile.mkdtemp(prefix="bayesfuse-corpus-"))
    for number, data in enumerate(target.starts()):
        assert target.run(data) == "read"
        (start / f"good-{number}").write_bytes(data)
    kept = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    warnings.simplefilter("ignore")
    atheris.Setup([*arguments, str(start), *kept], lambda data: target.run(bytes(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
