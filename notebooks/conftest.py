"""Let nbval run the notebooks in the smoke profile: seconds each, numbers without meaning."""

import os

os.environ["TLKIT_PROFILE"] = "smoke"
os.environ["TLKIT_PROGRESS"] = "off"
