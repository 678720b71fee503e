"""What nodes say to each other, read on its way."""

from actormq.codec import Codec


class Said:
    """What a node sends to its peers, read as envelopes."""

    def __init__(self, node, monkeypatch):
        self.envelopes = []
        codec = Codec(1 << 30, 1 << 30)
        for member in node.mesh_view.members.values():
            port = member.outbox._port
            send = port.send

            def sending(frames, copy=True, send=send):
                self.envelopes += codec.unpack([bytes(frame) for frame in frames])
                return send(frames, copy)

            monkeypatch.setattr(port, "send", sending)

    def of(self, *kinds):
        return [envelope for envelope in self.envelopes if envelope[0] in kinds]
