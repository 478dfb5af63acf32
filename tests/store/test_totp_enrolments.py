import asyncio
from datetime import datetime, timedelta

from idp.model.credential import TotpEnrolment
from idp.store import totp_enrolments as store
from idp.store.database import Connection, Pool, transaction
from idp.store.sessions import create_session
from idp.store.users import raise_generation
from tests.authn.people import NOW, add_user

EARLIER = NOW - timedelta(minutes=10)


async def begun(conn: Connection, session: str = "s1", id_: str = "app", at: datetime = NOW) -> TotpEnrolment:
    """An enrolment of a user of her own, in a session of hers."""
    sub = (await add_user(conn, f"user-of-{session}")).sub
    await create_session(conn, session, f"secret of {session}", sub, (), now=NOW, life=timedelta(days=1))
    enrolment = TotpEnrolment(session, id_, sub, 0, b"sealed", at)
    await store.create_enrolment(conn, enrolment)
    return enrolment


async def test_it_is_found_in_its_session_alone(conn: Connection) -> None:
    first, second = await begun(conn), await begun(conn, "s2", "other")
    assert await store.find_enrolment(conn, "s1", begun_after=EARLIER) == first
    assert await store.find_enrolment(conn, "s2", begun_after=EARLIER) == second
    assert await store.find_enrolment(conn, "s3", begun_after=EARLIER) is None


async def test_a_later_beginning_replaces_the_former_of_its_session(conn: Connection) -> None:
    first = await begun(conn)
    second = TotpEnrolment("s1", "second", first.sub, 0, b"sealed", NOW)
    await store.create_enrolment(conn, second)
    assert await store.find_enrolment(conn, "s1", begun_after=EARLIER) == second
    assert not await store.consume_enrolment(conn, first)
    assert await store.consume_enrolment(conn, second)


async def test_an_old_beginning_is_gone_though_nobody_cleared_it_away(conn: Connection) -> None:
    await begun(conn, at=EARLIER)
    assert await store.find_enrolment(conn, "s1", begun_after=EARLIER) is None


async def test_a_76_one_of_an_earlier_generation_is_worth_nothing(conn: Connection) -> None:
    enrolment = await begun(conn)
    await raise_generation(conn, enrolment.sub)
    assert await store.find_enrolment(conn, "s1", begun_after=EARLIER) is None
    assert not await store.consume_enrolment(conn, enrolment)


async def test_clearing_away_leaves_what_is_young(conn: Connection) -> None:
    fresh, _ = await begun(conn), await begun(conn, "s2", "stale", EARLIER)
    await store.delete_expired(conn, begun_before=NOW)
    assert await store.find_enrolment(conn, "s1", begun_after=EARLIER) == fresh
    assert await store.find_enrolment(conn, "s2", begun_after=EARLIER - timedelta(days=1)) is None


async def test_taken_once_however_many_ask(pool: Pool) -> None:
    async with transaction(pool) as conn:
        enrolment = await begun(conn)

    async def take() -> bool:
        async with transaction(pool) as conn:
            return await store.consume_enrolment(conn, enrolment)

    assert sum(await asyncio.gather(*(take() for _ in range(50)))) == 1
