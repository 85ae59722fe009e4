"""Settings for all tests."""

from hypothesis import settings

# Hypothesis gives each example 200 ms by default, of a clock that runs on while others have the processors: a busy
# machine is no fault of Parley's. Tests that say how quick something is are marked `timed`.
settings.register_profile("parley", deadline=None)
settings.load_profile("parley")
