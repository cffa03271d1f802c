"""How thorough the property tests are.

Quick here, and the same in every run, so that a run that failed fails again; HYPOTHESIS_PROFILE=thorough
draws a hundred times more, and anew.
"""

import os

from hypothesis import settings

settings.register_profile("quick", max_examples=15, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=1500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
