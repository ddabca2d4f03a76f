"""A repository: the statements of one model, in one session."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from anyio import CancelScope
from pydantic import BaseModel
from sqlalchemy import Select, func, inspect, select
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.interfaces import ORMOption

from fastapi_kit.db.dependencies import SessionDep
from fastapi_kit.db.mixins import SoftDeleteMixin
from fastapi_kit.errors import AppError, ConfigurationError, NotFoundError

ModelT = TypeVar("ModelT")
PageT = TypeVar("PageT", bound=BaseModel)

AnySelect = Select[*tuple[Any, ...]]
Values = BaseModel | Mapping[str, Any]


class Limits(Protocol):
    """Which part of a listing is wanted, by numbers: `fastapi_kit.pagination.PaginationParams`."""

    @property
    def offset(self) -> int:
        """Items before the part."""
        ...

    @property
    def limit(self) -> int:
        """The most items in the part."""
        ...


class Fetches(Protocol):
    """What fetches a part of a listing: `fastapi_kit.pagination.CursorQuery`, ``OffsetQuery``."""

    @property
    def fetch(self) -> Any:
        """Called with the session, the statement, ``into`` and further options; awaited."""
        ...


class Repository(Generic[ModelT]):
    """What is done with the rows of one model, in one session.

    ```python
    class ItemRepository(Repository[Item]):
        model = Item
        not_found = ItemNotFound

        async def cheapest(self) -> Item | None:
            return await self.one_or_none(select(Item).order_by(Item.price).limit(1))
    ```

    A route makes one of its session, ``items = ItemRepository(session)``, or asks for it:
    ``items: Annotated[ItemRepository, Depends(ItemRepository)]``.
    Statements stay SQLAlchemy's own: what a method does not say, its ``stmt`` does.
    It writes by flush and never commits; that is for the session's owner, so that several
    repositories share one transaction.

    Args:
        session: Where it works; one that cannot write (`ReadSessionDep`) serves for reading.

    Raises:
        ConfigurationError: When a subclass is made whose ``model`` is not a mapped class.
    """

    model: type[ModelT]
    """The mapped class, SQLModel's too."""
    not_found: ClassVar[type[AppError]] = NotFoundError
    """What `get_or_404` raises."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        model = getattr(cls, "model", None)
        if model is not None and inspect(model, raiseerr=False) is None:
            raise ConfigurationError(
                f"{cls.__name__}.model={model!r} is not a mapped class; use a model with a table"
            )

    def __init__(self, session: SessionDep) -> None:
        self.session = session

    async def get(
        self,
        key: Any,
        *,
        options: Sequence[ORMOption] | None = None,
        for_update: bool = False,
    ) -> ModelT | None:
        """The row with this primary key, or `None`; one that the session has is not read again.

        Args:
            key: Of several columns: a tuple in their order, or a dict by name.
            options: What to load along, such as ``[selectinload(Item.tags)]``.
            for_update: Lock the row until the session ends, for read, change, write on PostgreSQL.
                It is read again then.
        """
        found = await self.session.get(
            self.model, key, options=options, with_for_update=for_update or None
        )
        # What was deleted in this session is still among its objects.
        if isinstance(found, SoftDeleteMixin) and found.deleted_at is not None:
            return None
        return found

    async def get_or_404(
        self,
        key: Any,
        *,
        options: Sequence[ORMOption] | None = None,
        for_update: bool = False,
    ) -> ModelT:
        """As `get`, where the client is told that there is no such row.

        Raises:
            NotFoundError: There is none; see ``not_found``.
        """
        found = await self.get(key, options=options, for_update=for_update)
        if found is None:
            raise self.not_found
        return found

    async def one_or_none(self, stmt: Select[ModelT]) -> ModelT | None:
        """The only row of the statement, or `None`.

        Raises:
            sqlalchemy.exc.MultipleResultsFound: There are several.
        """
        return (await self.session.scalars(stmt)).unique().one_or_none()

    async def all(self, stmt: Select[ModelT] | None = None) -> Sequence[ModelT]:
        """All rows of the statement, by default of the table, in memory: for short lists.

        `page` and `stream` are for long ones.
        """
        return (await self.session.scalars(self._or_all(stmt))).unique().all()

    async def stream(
        self, stmt: Select[ModelT] | None = None, *, batch_size: int = 1000
    ) -> AsyncGenerator[ModelT]:
        """The rows of the statement one by one, in constant memory.

        Its session must outlive it, so it is for jobs; a response is streamed by `CSVExport` or
        `JSONLinesExport`. Where you leave the loop early, close it: ``async with aclosing(...)``.

        Args:
            stmt: By default the whole table.
            batch_size: Rows that are fetched at a time.
        """
        batched = self._or_all(stmt).execution_options(yield_per=batch_size)
        rows = await self.session.stream_scalars(batched)
        try:
            async for row in rows:
                yield row
        finally:
            with CancelScope(shield=True):
                await rows.close()

    async def count(self, stmt: AnySelect | None = None) -> int:
        """How many rows the statement has, by default the table."""
        counting = (
            select(func.count()).select_from(self.model)
            if stmt is None
            else select(func.count()).select_from(stmt.order_by(None).subquery())
        )
        return (await self.session.scalars(counting)).one()

    async def exists(self, stmt: AnySelect) -> bool:
        """Whether the statement has a row."""
        return (await self.session.scalars(select(stmt.exists()))).one()

    async def page(
        self,
        params: Limits | Fetches,
        stmt: AnySelect | None = None,
        *,
        into: type[PageT],
        **options: Any,
    ) -> PageT:
        """A page of the statement, by default of the table.

        Args:
            params: What the pagination block reads from a request: `PaginationDep`,
                ``SkipLimitDep``, or the query of a paginator.
            stmt: What is listed.
            into: The type of the page: ``Page[ItemOut]``, ``CursorPage[ItemOut]``, ...
            **options: Further arguments of the query's ``fetch``, such as ``scope=filters``.
        """
        listed = select(self.model) if stmt is None else stmt
        fetch = getattr(params, "fetch", None)
        if fetch is None:
            # By name, since blocks do not import each other: without pages it is never loaded.
            paginate = import_module("fastapi_kit.pagination").paginate
            page: PageT = await paginate(self.session, listed, params, into=into, **options)
        else:
            page = await fetch(self.session, listed, into=into, **options)
        return page

    async def create(self, data: Values | None = None, /, **values: Any) -> ModelT:
        """A new row, flushed, so that its key and defaults are known.

        Args:
            data: Names and values; of a model its fields, defaults included.
            **values: More of them, which win: ``create(data, owner_id=user.id)``.

        Raises:
            TypeError: The model has no attribute of a name.
        """
        given = _values(data, only_set=False) | values
        self._require_names(given)
        item = self.model(**given)
        self.session.add(item)
        await self.session.flush()
        return item

    async def update(self, item: ModelT, data: Values | None = None, /, **values: Any) -> ModelT:
        """The same object, changed and flushed: the semantics of PATCH.

        Of a Pydantic model only those fields count that were given: an absent one leaves its
        attribute untouched, and null is null. A nested model replaces what was there as a whole.

        Args:
            item: From this session.
            data: Names and values.
            **values: More of them, which win.

        Raises:
            TypeError: The model has no attribute of a name.
        """
        given = _values(data, only_set=True) | values
        self._require_names(given)
        for name, value in given.items():
            setattr(item, name, value)
        await self.session.flush()
        return item

    async def delete(self, item: ModelT) -> None:
        """Delete the row; one with `SoftDeleteMixin` is marked as deleted and stays.

        ``session.delete(item)`` removes such a row for good.
        """
        if isinstance(item, SoftDeleteMixin):
            item.mark_deleted()
        else:
            await self.session.delete(item)
        await self.session.flush()

    def _or_all(self, stmt: Select[ModelT] | None) -> Select[ModelT]:
        return select(self.model) if stmt is None else stmt

    def _require_names(self, given: Mapping[str, Any]) -> None:
        # `setattr` would take a misspelt name without a word, and SQLModel does so when it is made.
        if unknown := given.keys() - _settable(inspect(self.model, raiseerr=True)):
            raise TypeError(
                f"{self.model.__name__} has no attribute {sorted(unknown)}; leave it out, "
                "or exclude it from what is passed to the repository"
            )


@cache
def _settable(mapper: Mapper[Any]) -> frozenset[str]:
    model = mapper.class_
    plain = {name for name in dir(model) if isinstance(getattr(model, name, None), property)}
    return frozenset(mapper.all_orm_descriptors.keys()) | plain


def _values(data: Values | None, *, only_set: bool) -> dict[str, Any]:
    if data is None:
        return {}
    if not isinstance(data, BaseModel):
        return dict(data)
    # By declared names only: with `extra="allow"` a client could name any column.
    declared = type(data).model_fields.keys()
    wanted = data.model_fields_set & declared if only_set else set(declared)
    return data.model_dump(include=wanted, by_alias=False)
