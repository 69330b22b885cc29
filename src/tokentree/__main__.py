"""``python -m tokentree`` is the command ``tokentree``."""

from .cli import main

raise SystemExit(main())
