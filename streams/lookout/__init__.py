"""One process that watches the pipeline from outside: what it says stands when every worker is dead.

It belongs to no group and commits nothing. Each thing that it watches is one `Watch`, started in `running`.
"""
