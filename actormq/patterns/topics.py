"""What a topic may be, the same for those who publish and those who subscribe."""

from __future__ import annotations

from actormq.errors import SetupError
from actormq.settings import TOPIC_BYTES

_SHOWN = 40  # of a topic in an error: enough to know it again


def topic_bytes(topic: object, label: str) -> bytes:
    """A topic as it goes over the wire.

    Args:
        topic: What a user gave: a text, or bytes as they are.
        label: The socket's name, for errors.

    Raises:
        SetupError: It is neither, no UTF-8, or too long.
    """
    if isinstance(topic, bytes):
        raw = topic
    elif isinstance(topic, str):
        try:
            raw = topic.encode()
        except UnicodeEncodeError as error:
            text = f"{label}: topic {topic[:_SHOWN]!r} cannot be written as UTF-8"
            raise SetupError(text) from error
    else:
        raise SetupError(f"{label}: a topic is a text, not {type(topic).__name__}")
    if len(raw) > TOPIC_BYTES:
        raise SetupError(f"{label}: topic {topic[:_SHOWN]!r} is over {TOPIC_BYTES} bytes")
    return raw
