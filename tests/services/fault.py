#!/usr/bin/env python3
"""A TCP proxy that misbehaves, for tests.

usage: fault.py LISTEN_PORT TARGET_PORT [latency=MS] [rate=BYTES_PER_S]
                [reset=BYTES] [close=BYTES] [stall=BYTES] [times=N] [sent=1]

Listens on 127.0.0.1 (port 0: any free one), prints `ready PORT`, and ends with its standard input.
Latency acts in both directions, everything else on what the server sends: after so many bytes the
connection is reset, closed, or falls silent; `times` limits that to the first N connections. With `sent=1`
all that acts on what the client sends instead.
"""
import asyncio
import socket
import struct
import sys

LISTEN, TARGET = int(sys.argv[1]), int(sys.argv[2])
OPTIONS = {key: float(value) for key, value in (word.split("=") for word in sys.argv[3:])}
LATENCY = OPTIONS.get("latency", 0) / 1000
RATE = OPTIONS.get("rate")
TIMES = OPTIONS.get("times", float("inf"))
SENT = bool(OPTIONS.get("sent"))
connections = 0


async def read_ahead(reader, queue):
    """Puts what arrives into the queue with the time at which it may leave."""
    size = 16384 if not RATE else max(1, min(16384, int(RATE / 50)))
    clock = asyncio.get_running_loop().time
    try:
        while True:
            data = await reader.read(size)
            await queue.put((clock() + LATENCY, data))
            if not data:
                return
    except OSError:
        await queue.put((0, b""))


async def misbehave(kind, writer, peer):
    """Ends (or silences) a connection in the middle of an answer."""
    await asyncio.sleep(0.05)
    if kind == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    elif kind == "close":
        writer.close()
    else:
        await asyncio.sleep(3600)
    peer.transport.abort()


async def pump(reader, writer, peer, acts, faulty):
    queue = asyncio.Queue(64)
    clock = asyncio.get_running_loop().time
    ahead = asyncio.create_task(read_ahead(reader, queue))
    sent, free_at = 0, 0.0
    try:
        while True:
            at, data = await queue.get()
            await asyncio.sleep(max(0, at - clock()))
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            if acts and faulty:
                for kind in ("reset", "close", "stall"):
                    limit = OPTIONS.get(kind)
                    if limit is not None and sent + len(data) > limit:
                        writer.write(data[: int(limit - sent)])
                        await writer.drain()
                        await misbehave(kind, writer, peer)
                        return
            if RATE and acts:
                free_at = max(free_at, clock()) + len(data) / RATE
                await asyncio.sleep(max(0, free_at - clock()))
            writer.write(data)
            await writer.drain()
            sent += len(data)
    except OSError:
        writer.transport.abort()
        peer.transport.abort()
    finally:
        ahead.cancel()


async def serve(reader, writer):
    global connections
    connections += 1
    faulty = connections <= TIMES
    try:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", TARGET)
    except OSError:
        writer.transport.abort()
        return
    for end in (writer, far_writer):
        end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.gather(
        pump(reader, far_writer, writer, SENT, faulty),
        pump(far_reader, writer, far_writer, not SENT, faulty),
    )
    for end in (writer, far_writer):
        end.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", LISTEN)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    # The test holds the other end: when it is gone, so are we.
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


asyncio.run(main())
