"""Decoders for the browser, packed once per model."""

import weakref

from dvae_core.errors import ModelError
from dvae_core.models.vae import VAE
from dvae_core.web.board import BoardDecoder
from dvae_core.web.decoder import pack_decoder

_decoders: "weakref.WeakKeyDictionary[VAE, BoardDecoder | None]" = weakref.WeakKeyDictionary()


def browser_decoder(model: VAE) -> BoardDecoder | None:
    """The decoder of a model for the browser; None where only the server can run it."""
    if model not in _decoders:
        try:
            _decoders[model] = BoardDecoder.of(pack_decoder(model))
        except ModelError:
            _decoders[model] = None
    return _decoders[model]
