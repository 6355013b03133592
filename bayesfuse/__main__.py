"""`python -m bayesfuse`: the command line, where no `bayesfuse` is on the path."""

from __future__ import annotations

from bayesfuse.cli import main

if __name__ == "__main__":
    main()
