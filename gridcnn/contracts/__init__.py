"""Contracts: what an adapter, a data source, a stage and an augmentation have to provide.

A spec is made of them, so they are imported by it; what fulfils them imports it.
"""
