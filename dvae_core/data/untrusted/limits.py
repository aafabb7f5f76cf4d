"""Limits on files of unknown origin."""

MAX_IMAGES = 5_000_000
MAX_IMAGE_PIXELS = 4096 * 4096
MAX_ARRAY_BYTES = 64 * 2**30
MAX_WHOLE_BYTES = 128 * 2**20  # limit of an array that is read at once
MAX_FACTORS = 64
MAX_CONTENTS = 20  # names to show if an array is missing
MAX_TEXT_CHARACTERS = 200  # limit of a text in an array

BLOCK_BYTES = 32 * 2**20  # size of a block of a large array

# A file may unpack to 256 MB, or to more at a ratio that real images reach. dSprites, nearly all
# black, has about 150.
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_RATIO = 500


def exceeds_ratio(unpacked_bytes: int, packed_bytes: int) -> bool:
    """Whether a file unpacks to so much that it was probably made to fill the disk."""
    return unpacked_bytes > max(MAX_UNPACKED_BYTES, MAX_RATIO * packed_bytes)
