"""`handle_connections()`: cancelled at whatever point, and however often, nothing of the service is left."""

import asyncio
import socket

import pytest

from parley import ChatService, Config, LocationService, TypingService
from parley.shared.config import LinkConfig
from parley.shared.runtime.completed import completed

HERE = "127.0.59.41"
SERVICES = [ChatService, TypingService, LocationService]
TURNS = [*range(25), 40, 80]
"""So many turns of the loop after its beginning; some later ones are for all that takes longer."""
each_service = pytest.mark.parametrize("kind", SERVICES)


def made(kind, directory):
    return kind("alpha", Config(address=HERE, data_dir=str(directory), link=LinkConfig(connect_timeout=3600)))


def is_free(kind, port):
    with socket.socket(socket.AF_INET, kind) as sock:
        try:
            sock.bind((HERE, port))
        except OSError:
            return False
        return True


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def begin_and_cancel(service, after, again):
    serving = asyncio.create_task(service.handle_connections())
    await turns(after)
    serving.cancel()
    if again is not None:
        await turns(again)
        serving.cancel()
    await asyncio.wait([serving], timeout=20)
    assert serving.cancelled()
    await turns(3)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    settings = getattr(service.config, service.section)
    assert is_free(socket.SOCK_STREAM, settings.port)
    assert is_free(socket.SOCK_DGRAM, getattr(settings, "udp_port", 0))


@each_service
@pytest.mark.parametrize("again", [None, 1, 3, 6])
def test_cancelled_at_any_point_it_lets_go_of_all_that_it_had(kind, again, tmp_path):
    for after in TURNS:
        asyncio.run(begin_and_cancel(made(kind, tmp_path), after, again))


@each_service
def test_a_service_serves_once(kind, tmp_path):
    async def main():
        service = made(kind, tmp_path)
        async with asyncio.timeout(20):
            await service.set_server_list_and_connect([])
            serving = asyncio.create_task(service.handle_connections())
            await turns(1)
            with pytest.raises(RuntimeError, match="runs already"):
                await service.handle_connections()
            serving.cancel()
            await asyncio.wait([serving])
            with pytest.raises(RuntimeError, match="was stopped"):
                await service.handle_connections()
            with pytest.raises(RuntimeError, match="was stopped"):
                await service.set_server_list_and_connect([])

    asyncio.run(main())


def connected_pair():
    with socket.create_server((HERE, 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        return listener.accept()[0], theirs


def test_a_stop_that_is_cancelled_leaves_the_mailbox_to_others(tmp_path):
    async def main():
        service = made(ChatService, tmp_path)
        async with asyncio.timeout(20):
            await service.start()
            _, writer = await asyncio.open_connection(HERE, service.listener.port)  # hung up on, and does not go
            while not service.links:
                await turns(1)
            stopping = asyncio.create_task(service.stop())
            await turns(1)
            stopping.cancel()
            await asyncio.wait([stopping])
            assert stopping.cancelled()
            async with made(ChatService, tmp_path):
                pass
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())


@each_service
def test_a_connection_that_was_accepted_before_the_end_and_is_made_after_it_is_hung_up_on(kind, tmp_path):
    async def main():
        service = made(kind, tmp_path)
        async with asyncio.timeout(20):
            async with service:
                pass
            ours, theirs = connected_pair()
            reader, writer = await asyncio.open_connection(sock=theirs)
            await asyncio.get_running_loop().connect_accepted_socket(service.make_accepted_link, ours)
            assert (await reader.read()).startswith(b"HANGUP ")
            writer.close()
            await writer.wait_closed()
            assert not service.links

    asyncio.run(main())


def test_what_has_to_be_completed_is_although_its_waiter_is_cancelled():
    async def work():
        await go_on.wait()
        done.append(True)
        if len(done) == 2:
            raise ConnectionError

    async def main():
        for _ in range(2):
            go_on.clear()
            waiter = asyncio.create_task(completed(work()))
            for _ in range(3):
                await turns(2)
                waiter.cancel()
            go_on.set()
            await asyncio.wait([waiter])
            assert waiter.cancelled()
        with pytest.raises(TypeError):
            await completed(fail())

    async def fail():
        raise TypeError

    done, go_on = [], asyncio.Event()
    asyncio.run(main())
    assert len(done) == 2
