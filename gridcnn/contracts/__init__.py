"""Contracts: what an adapter, a data source, a stage and an augmentation have to provide.

A spec is made of them, and so they stand below it; what fulfils them stands above.
"""
