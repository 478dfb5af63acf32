"""What went wrong with the database, in a sentence of ours: its own may quote rows, and speak of its log."""

import asyncpg

# The first that fits is said, so that what is narrower comes first.
_SENTENCES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (
        (asyncpg.DeadlockDetectedError, asyncpg.SerializationError),
        "others were changing the same at this moment, try again",
    ),
    (asyncpg.LockNotAvailableError, "something else holds what is to be changed, try again"),
    (asyncpg.QueryCanceledError, "a statement took too long, or was cancelled"),
    (asyncpg.IdleInTransactionSessionTimeoutError, "a step took too long and was given up"),
    (asyncpg.OperatorInterventionError, "it is starting up or shutting down"),
    (asyncpg.CannotConnectNowError, "it is starting up or shutting down"),
    (asyncpg.DiskFullError, "its disk is full"),
    (asyncpg.PostgresIOError, "it cannot read or write its disk"),
    (asyncpg.OutOfMemoryError, "it is out of memory"),
    (asyncpg.TooManyConnectionsError, "it takes no more connections"),
    (asyncpg.ReadOnlySQLTransactionError, "it takes no changes: it is a standby, or set to read only"),
    (asyncpg.InvalidAuthorizationSpecificationError, "it does not let this user in, or not with this password"),
    (asyncpg.InvalidCatalogNameError, "there is no database of this name"),
    (asyncpg.InvalidCachedStatementError, "it was migrated at this moment, try again"),
    (asyncpg.PostgresConnectionError, "the connection to it was lost"),
    (TimeoutError, "it did not answer in time"),
)


def describe(error: BaseException) -> str:
    """One line on what went wrong, fit for an operator: no value of a row, and no DETAIL, HINT or CONTEXT."""
    for kinds, sentence in _SENTENCES:
        if isinstance(error, kinds):
            return sentence
    if isinstance(error, asyncpg.PostgresError):
        return f"it refuses a statement, {_named(error)}"
    said = str(error).partition("\n")[0]
    if isinstance(error, OSError):
        return f"no connection to it: {said}" if said else "there is no connection to it"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _named(error: asyncpg.PostgresError) -> str:
    """The error by its code, and by its message unless that may quote a value (class 22, wrong data)."""
    message = str(error.args[0]).partition("\n")[0] if error.args else ""
    code = f"{type(error).__name__} {error.sqlstate}"
    return code if isinstance(error, asyncpg.DataError) or not message else f"{code}: {message}"
