"""Example Bank, a relying application to try the provider with and to copy from: ``python -m idp.cli.demo``.

It knows the provider by its address alone and imports nothing of it: all four files work in a project of their own.
"""
