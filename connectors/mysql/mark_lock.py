"""(pure) The name of the lock that marks a server: `abilities.MarkingSource`, `SeeingTarget`."""


def mark_name(number: int) -> str:
    return f"penstock {number:x}"
