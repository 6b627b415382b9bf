"""What a pipeline stands on, looked at by ground; each fault with its mend.

In each ground the judging functions are pure: facts in, findings out. What gathers the facts writes nothing, neither
to a topic nor to a disk, and is given up after `examine.DEADLINE_S`.
"""
