"""Reading files that anyone may have made, with every header checked before anything is loaded.

These modules run in a child process of limited memory (`dvae_core.system.sandbox`), except
`reader`, which talks to it. So they import neither torch nor pydantic, nor the rest of the package
beyond its limits and errors.
"""
