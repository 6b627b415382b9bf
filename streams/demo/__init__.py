"""The demonstration: a whole pipeline started for one story, and stopped again."""
