"""`import requests` alone, the yardstick."""

import requests  # noqa: F401 - importing it is all
