"""How much is read of a file that anyone may have made."""

MAX_IMAGES = 5_000_000
MAX_IMAGE_PIXELS = 4096 * 4096
MAX_ARRAY_BYTES = 64 * 2**30
MAX_WHOLE_BYTES = 128 * 2**20  # of an array that is not read block by block
MAX_FACTORS = 64
MAX_CONTENTS = 20  # names of what is in a file, shown where an array is missing
MAX_TEXT_CHARACTERS = 200  # of one text in an array of texts

BLOCK_BYTES = 32 * 2**20  # what is in memory at a time of an array read block by block

# What a small file may unpack to: 256 MB, and more only at a ratio that real images reach.
# dSprites, nearly all black, has about 150.
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_RATIO = 500


def exceeds_ratio(unpacked_bytes: int, packed_bytes: int) -> bool:
    """Whether a file looks made to fill a disk, by what it unpacks to."""
    return unpacked_bytes > max(MAX_UNPACKED_BYTES, MAX_RATIO * packed_bytes)
