"""A bad network between one client and its server: datagrams are lost, doubled, and overtake one another.

It stands at two addresses: at the client's, as the port that the client names to the server, and at the server's,
as the port that the client takes for the server's. TCP goes past it.
"""

import asyncio
import random
import socket

from parley.shared.addresses import Endpoint, Server


class Relay:
    """One client's; `loss` and `doubled` are probabilities, `delay` the longest one in seconds."""

    def __init__(self, client_address, server, feature, seed, *, loss=0.2, doubled=0.2, delay=0.08):
        self.client_address = client_address
        self.client_port = 0
        self._server, self._feature = server, feature
        self._random = random.Random(seed)
        self._loss, self._doubled, self._delay = loss, doubled, delay
        self._endpoint = server.endpoints(feature)[0]
        self._at_client = self._bind(client_address)
        self._at_server = self._bind(self._endpoint.host)
        self.port = self._at_client.getsockname()[1]
        self.passed, self.lost = 0, 0
        self.to_client = []
        """Every datagram that the server sent, lost or not."""
        self.to_server = []
        """… and that the client did."""

    @staticmethod
    def _bind(host):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        sock.setblocking(False)
        return sock

    def __enter__(self):
        loop = asyncio.get_running_loop()
        loop.add_reader(self._at_client, self._from_server)
        loop.add_reader(self._at_server, self._from_client)
        return self

    def __exit__(self, *_):
        loop = asyncio.get_running_loop()
        for sock in (self._at_client, self._at_server):
            loop.remove_reader(sock)
            sock.close()

    def servers(self, servers):
        """The server list with this relay in place of the server's UDP port."""
        port = self._at_server.getsockname()[1]
        changed = Endpoint(self._endpoint.host, self._endpoint.port, port)
        mine = Server(self._server.server_id, {self._feature: (changed,)})
        return tuple(mine if s.server_id == mine.server_id else s for s in servers)

    def _from_server(self):
        data = self._at_client.recv(65536)
        self.to_client.append(data)
        self._pass_on(self._at_server, data, (self.client_address, self.client_port))

    def _from_client(self):
        data = self._at_server.recv(65536)
        self.to_server.append(data)
        self._pass_on(self._at_client, data, (self._endpoint.host, self._endpoint.udp_port))

    def _pass_on(self, sock, data, to):
        for _ in range(2 if self._random.random() < self._doubled else 1):
            if self._random.random() < self._loss:
                self.lost += 1
                continue
            self.passed += 1
            asyncio.get_running_loop().call_later(self._random.uniform(0, self._delay), self._send, sock, data, to)

    @staticmethod
    def _send(sock, data, to):
        if sock.fileno() >= 0:
            sock.sendto(data, to)
