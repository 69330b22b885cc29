"""What a person waits for before anything is shown, beside NumPy's import."""

import subprocess
import sys
import time
from pathlib import Path

from .timing import duration, table

CODE = {
    "import numpy": "import numpy",
    "Python alone": "pass",
    "tokentree --version": "from tokentree.cli import main; main(['--version'])",
    "tokentree --help": "from tokentree.cli import main; main(['--help'])",
    "import tokentree": "import tokentree",
}


def print_table(quick: bool, figures: Path) -> None:
    """The least of many processes each, started in turn."""
    least = dict.fromkeys(CODE, float("inf"))
    for _ in range(2 if quick else 20):
        for name, code in CODE.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
            least[name] = min(least[name], time.perf_counter() - start)
    rows = [[name, duration(taken), f"{taken / least['import numpy']:.2f}"] for name, taken in least.items()]
    print(
        "### Start-up\n\n" + table(["process", "takes", "times NumPy's import"], rows), end="\n\n", flush=True
    )
