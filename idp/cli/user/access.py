"""`idp user disable`, `enable`, `unlock` and `remove`: whether the account works at all."""

from collections.abc import Sequence

from idp.authn.throttle import subjects_of
from idp.cli.master import master_key
from idp.cli.output import Json, database, emit, in_database, run, settings
from idp.cli.trail import note
from idp.cli.user.shown import locked_of, print_user
from idp.cli.who import Who, get_meant
from idp.model.user import User
from idp.store import attempts, known_devices, sessions, users
from idp.store.clock import database_time
from idp.store.database import Connection, transact


def disable_command(who: Who, as_json: Json = False) -> None:
    """Shut an account: its sessions end, its tokens are worth nothing, and it trusts no browser."""
    print_user(*run(_disable(who)), as_json=as_json)


def enable_command(who: Who, as_json: Json = False) -> None:
    """Open a disabled account again."""
    print_user(*run(_enable(who)), as_json=as_json)


def unlock_command(who: Who, as_json: Json = False) -> None:
    """Forget all failed attempts against an account: what they had switched off works again."""
    user, unlocked, tallies = run(_unlock(who))
    document = {"sub": user.sub, "unlocked": list(unlocked), "tallies": tallies}
    emit(document, _unlock_text(user, unlocked, tallies), as_json=as_json)


def remove_command(who: Who, as_json: Json = False) -> None:
    """Remove an account with all that hangs on it; whoever gets its name later is somebody else."""
    user = run(_remove(who))
    emit({"sub": user.sub, "removed": True}, f"Removed {user.username} ({user.sub}).", as_json=as_json)


async def _disable(who: str) -> tuple[User, tuple[str, ...]]:
    async def step(conn: Connection) -> tuple[User, tuple[str, ...]]:
        user, now = await get_meant(conn, who), await database_time(conn)
        await users.disable(conn, user.sub, now)
        ended = await sessions.end_sessions_of(conn, user.sub, now)
        await note(conn, "user_disabled", now, sub=user.sub, details={"sessions": ended})
        if distrusted := await known_devices.end_trust(conn, user.sub):
            # Whoever is let in again shows all that the account asks for, wherever they were trusted before.
            await note(conn, "device_trust_ended", now, sub=user.sub, details={"count": distrusted})
        return await users.get_user(conn, user.sub), await locked_of(conn, user)

    return await in_database(settings(), step)


async def _enable(who: str) -> tuple[User, tuple[str, ...]]:
    async def step(conn: Connection) -> tuple[User, tuple[str, ...]]:
        user, now = await get_meant(conn, who), await database_time(conn)
        await users.enable(conn, user.sub, now)
        await note(conn, "user_enabled", now, sub=user.sub)
        return await users.get_user(conn, user.sub), await locked_of(conn, user)

    return await in_database(settings(), step)


async def _unlock(who: str) -> tuple[User, tuple[str, ...], int]:
    installation = settings()
    async with database(installation) as pool:
        master = await master_key(pool, installation)

        async def step(conn: Connection) -> tuple[User, tuple[str, ...], int]:
            user = await get_meant(conn, who)
            unlocked = await locked_of(conn, user)
            tallies = sum([await attempts.remove_tallies(conn, subject) for subject in subjects_of(user, master)])
            found = {"methods": list(unlocked), "tallies": tallies}
            await note(conn, "user_unlocked", await database_time(conn), sub=user.sub, details=found)
            return user, unlocked, tallies

        return await transact(pool, step)


def _unlock_text(user: User, unlocked: Sequence[str], tallies: int) -> str:
    if unlocked:
        return f"Forgot all failed attempts against {user.username}. Works again: {', '.join(unlocked)}."
    if tallies:
        return f"Forgot all failed attempts against {user.username}; nothing had been switched off."
    return f"There were no failed attempts against {user.username}."


async def _remove(who: str) -> User:
    async def step(conn: Connection) -> User:
        user = await get_meant(conn, who)
        await users.remove(conn, user.sub)
        await note(conn, "user_removed", await database_time(conn), sub=user.sub, details={"username": user.username})
        return user

    return await in_database(settings(), step)
