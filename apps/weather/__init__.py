"""Weather telemetry: stations replay observations, others average, record and show them.

| Module | Holds |
| --- | --- |
| messages | what travels, and what the actors answer |
| observations, index | reading CSV files: line by line, and one station at a time |
| statistics | averages and extremes, gathered or computed plainly |
| store | observations and positions in SQLite |
| host | this machine's load, memory, network and temperatures |
| board, view | what a live view knows, and how it looks |
| stations, listeners, recorder | the actors |

The actors are loaded when they are asked for: reading a file needs no sockets.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.weather.listeners import Average, Extremes, LiveView
    from apps.weather.recorder import Recorder
    from apps.weather.stations import HostStation, Station

__all__ = ["Average", "Extremes", "HostStation", "LiveView", "Recorder", "Station"]

_MODULES = {
    "Average": "listeners",
    "Extremes": "listeners",
    "HostStation": "stations",
    "LiveView": "listeners",
    "Recorder": "recorder",
    "Station": "stations",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
