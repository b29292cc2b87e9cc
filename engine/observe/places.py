"""Where code stands: files, lines and functions, never a variable or a line of source. (pure)"""

from types import FrameType
from typing import Final

FRAMES_MAX: Final = 8
"""Innermost frames shown; enough to see what blocks and who called it."""


def places(frame: FrameType | None) -> list[str]:
    """Where a stack stands, innermost first: `file:line function`, without any variable."""
    found: list[str] = []
    while frame is not None and len(found) < FRAMES_MAX:
        code = frame.f_code
        found.append(f"{short(code.co_filename)}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return found


def error_places(error: BaseException) -> list[str]:
    """Where an error was raised, innermost first, without any variable or source line."""
    found: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{short(code.co_filename)}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found[::-1][:FRAMES_MAX]


def short(path: str) -> str:
    """The last three parts of a path: enough to find the file, nothing about the machine."""
    return "/".join(path.replace("\\", "/").split("/")[-3:])
