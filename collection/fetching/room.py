"""How much of pictures is in memory at a time.

Owns the count of bytes that are promised to bodies. Refuses to know what the bytes are, and to hold them.
"""

from __future__ import annotations

import asyncio

__all__ = ["Place", "Room"]


class Room:
    """Memory for so many bytes; who wants more than is left waits, first come, first served."""

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = self._n_free = n_bytes
        self._entrance = asyncio.Lock()
        self._freed = asyncio.Event()

    async def take(self, n_bytes: int) -> int:
        """Wait for so many bytes, or for all where that is less; returns how many they are."""
        n_taken = min(n_bytes, self._n_bytes)
        async with self._entrance:
            while self._n_free < n_taken:
                self._freed.clear()
                await self._freed.wait()
            self._n_free -= n_taken
        return n_taken

    def give(self, n_bytes: int) -> None:
        """Let others have them."""
        self._n_free += n_bytes
        self._freed.set()


class Place:
    """What one body has of a room; it is given back where the block ends.

    Examples
    --------
    ::

        with Place(room) as place:
            await place.take(n_announced)
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._n_bytes = 0

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *error: object) -> None:
        self.shrink(0)

    async def take(self, n_bytes: int) -> None:
        """Wait for so many bytes, in place of what it had."""
        self.shrink(0)
        self._n_bytes = await self._room.take(n_bytes)

    def shrink(self, n_bytes: int) -> None:
        """Give back what is more than so many bytes."""
        if n_bytes < self._n_bytes:
            self._room.give(self._n_bytes - n_bytes)
            self._n_bytes = n_bytes
