"""How fast the pipeline is, as ratios to what the parts below it can do in the same run."""
