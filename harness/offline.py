"""No network: what a rehearsed process runs first, so that whatever it starts gets none."""

REFUSAL = """\
import socket
def refuse(*arguments, **named):
    raise OSError("the rehearsal has no network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""
"""Python source. It stands in for a cable that is unplugged, not for a wall."""
