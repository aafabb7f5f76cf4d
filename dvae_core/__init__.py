"""Variational autoencoders whose latents are ordered categories on a grid, beside Gaussian ones.

`__init__.pyi` lists everything that a notebook or a script needs, and `docs/api.md` shows how it
goes together. Python imports a name's module when the name is first used, so `import dvae_core`
alone costs nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
