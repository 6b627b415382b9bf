"""The rules, pure: (a subject's state, an event, the policy, now) -> (the new state, effects). No I/O."""
