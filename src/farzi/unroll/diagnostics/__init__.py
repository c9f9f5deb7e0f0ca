"""Diagnostics of a run: is its metagradient right, precise and useful, and what will the run take?"""
