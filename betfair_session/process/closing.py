"""What can be closed can be used in a `with` statement, and some in an `async with`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .single_flight import aside

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Closable(ABC):
    """Closes itself at the end of a `with` statement."""

    @abstractmethod
    def close(self) -> None:
        """Give back what was opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClosable(Closable):
    """Closes itself at the end of an `async with` statement, too."""

    async def aclose(self) -> None:
        """Do as `close`, without blocking the event loop."""
        await aside(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
