"""Which Penstock this is."""


def version() -> str:
    """The installed version of Penstock."""
    from importlib import metadata  # only for this: it parses packages' metadata

    try:
        return metadata.version("penstock")
    except metadata.PackageNotFoundError:
        return "unknown"
