"""One Hypothesis profile: few examples, each of a whole history, so that the suite stays under a minute."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "breachwatch",
    max_examples=60,
    deadline=None,
    derandomize=True,  # the same examples everywhere: a failure in CI is one here
    suppress_health_check=[HealthCheck.too_slow],
)
# `pytest --hypothesis-profile=search` looks further, with examples of its own.
settings.register_profile("search", parent=settings.get_profile("breachwatch"), max_examples=2000, derandomize=False)
settings.load_profile("breachwatch")
