"""The environment that tests run in: where programs are, and nothing else of whoever runs them.

Imported before anything that reads variables or configuration, by pytest itself, each of its
processes and all that they start. What a company has in `.dlt/`, in its home folder or in variables
is not read: the tests would speak with its databases.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import tomlkit

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

# Who and where one is, and what the runner of the tests says to itself.
KEPT = ("USER", "LOGNAME", "TERM", "TMPDIR", "CI", "TALLY_RELIABILITY", "TALLY_SEED")
KEPT_BEGINNINGS = ("PYTEST_", "OPENBLAS_")

# The folder that stands for the home folder; said to the processes that pytest starts.
HOME = "TALLY_TEST_HOME"


def _home() -> Path:
    """Give an empty folder for this run; the process that makes it removes it."""
    if made := os.environ.get(HOME):
        return Path(made)
    folder = Path(tempfile.mkdtemp(prefix="tally-home-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # dlt's configuration as it comes with the project, without what says where systems are.
    configuration = tomlkit.parse((ROOT / ".dlt/config.toml").read_text())
    configuration.pop("sources", None)
    (folder / ".dlt").mkdir()
    (folder / ".dlt/config.toml").write_text(tomlkit.dumps(configuration))
    return folder


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """Give what is left of an environment, and what stands in the place of the rest."""
    home = str(_home())
    return {
        **{
            name: value
            for name, value in environment.items()
            if name in KEPT or name.startswith(KEPT_BEGINNINGS)
        },
        "PATH": f"{BIN}{os.pathsep}{environment.get('PATH', os.defpath)}",
        HOME: home,
        "HOME": home,
        "TZ": "UTC",
        "DLT_PROJECT_DIR": home,
        # Root's dlt has a global folder of its own, /var/dlt: these come before what it says.
        "SOURCES__RETAIL_DB__TYPE": "sample",
        "SOURCES__PROMOTION_FEED__TYPE": "sample",
        "SOURCES__ONLINE_SHOP__TYPE": "",
        # dbt would read a file .env, of the project's or any folder above it.
        "PYTHON_DOTENV_DISABLED": "1",
    }


if os.environ.get(HOME) is None or os.environ.get("DLT_PROJECT_DIR") != os.environ[HOME]:
    _isolated = isolated(os.environ)
    os.environ.clear()
    os.environ.update(_isolated)
    time.tzset()
# Where pytest runs in the background, Ctrl-C is ignored, and what it starts would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Of the commands that tests start.
ENVIRONMENT: Mapping[str, str] = {
    name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
}
