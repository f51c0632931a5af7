import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, final

__all__ = ["TaggedStream", "Tagger", "__version__", "main"]

__version__: str

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: Any = None) -> Any: ...

_ArrowData = _ArrowStream | _ArrowArray

def main(argv: Sequence[str]) -> int: ...
@final
class Tagger:
    def __new__(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        device: str | None = None,
        precision: Literal["f32", "f16", "bf16", "int8"] | None = None,
        threads: int | None = None,
        context: int | Literal["document"] | None = None,
        abbreviations: Literal["auto", "on", "off"] | None = None,
        decode: Literal["constrained", "argmax"] | None = None,
        aggregation: Literal["first", "simple", "average", "max"] | None = None,
        token_budget: int | None = None,
    ) -> Tagger: ...
    def tag(
        self,
        data: _ArrowData | Iterable[_ArrowData],
        *,
        text: str | None = None,
        title: str | None = None,
        explode: bool = False,
        column: str = "annotations",
    ) -> TaggedStream: ...
    @property
    def model_id(self) -> str: ...
    @property
    def labels(self) -> list[str]: ...
    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

@final
class TaggedStream:
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...
