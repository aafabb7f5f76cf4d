"""Zip archives of strangers."""

from zipfile import ZipFile, ZipInfo


def packed_files(archive: ZipFile) -> list[ZipInfo]:
    """The members of an archive that are no folders, in its order.

    `ZipInfo.is_dir` fails for a member without a name; here it is a file.
    """
    return [member for member in archive.infolist() if not member.filename.endswith("/")]
