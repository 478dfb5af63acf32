import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pyotp
import pytest

from idp.authn.methods import Proved, Refusal, authenticators, prove, totp
from idp.authn.methods.totp import Enrolment
from idp.base.entropy import identifier, system_entropy, token
from idp.model.assurance import Evidence
from idp.model.credential import TotpCredential
from idp.model.user import User
from idp.store import totp_credentials
from idp.store.database import Connection, Pool, transaction
from idp.store.sessions import create_session
from tests.authn.people import NOW, add_user, attempt, tools

TOOLS = tools()
STEP = timedelta(seconds=30)


def code(secret: str, at: datetime = NOW) -> str:
    return pyotp.TOTP(secret).at(at)


async def session_of(conn: Connection, user: User) -> str:
    """A session in which an app can be added."""
    id_ = identifier(system_entropy)
    await create_session(conn, id_, token(system_entropy), user.sub, (), now=NOW, life=timedelta(days=1))
    return id_


async def enrol(conn: Connection, user: User, now: datetime = NOW - 4 * STEP) -> tuple[str, str]:
    """The id and the secret of a new confirmed app, its last spent step well before NOW."""
    here = await session_of(conn, user)
    begun = await totp.begin_enrolment(conn, user, here, TOOLS, now)
    assert isinstance(begun, Enrolment)
    done = await totp.confirm(conn, user, here, code(begun.secret, now), TOOLS, now)
    assert isinstance(done, TotpCredential)
    return done.id, begun.secret


async def present(conn: Connection, user: User | None, typed: str, now: datetime = NOW) -> Proved | Refusal:
    return await prove("totp", attempt(conn, user, now=now, with_=TOOLS, code=typed))


# RFC 6238 appendix B, the SHA-1 rows, cut to the 6 digits that apps show (RFC 4226 §5.3: the last ones).
@pytest.mark.parametrize(
    ("seconds", "digits"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_rfc_6238_appendix_b(seconds: int, digits: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert totp.matching_step(secret, digits[2:], datetime.fromtimestamp(seconds, UTC)) == seconds // 30


async def test_the_present_code(conn: Connection) -> None:
    alice = await add_user(conn)
    id_, secret = await enrol(conn, alice)
    assert await present(conn, alice, code(secret)) == Proved(alice.sub, Evidence("totp", NOW, id_))
    (one,) = await authenticators(conn, alice)
    assert (one.method, one.name, one.credential_id, one.last_used_at) == ("totp", "Authenticator app", id_, NOW)


@pytest.mark.parametrize(
    ("steps", "accepted"), [(-2, False), (-1, True), (0, True), (1, False), (2, False)], ids=lambda value: str(value)
)
async def test_a_40_the_window(conn: Connection, steps: int, accepted: bool) -> None:
    alice = await add_user(conn)
    _, secret = await enrol(conn, alice, NOW - 10 * STEP)
    answer = await present(conn, alice, code(secret, NOW + steps * STEP))
    assert isinstance(answer, Proved) if accepted else answer == Refusal("code_wrong")


async def test_a_40_after_a_step_was_used_neither_it_nor_the_one_before(conn: Connection) -> None:
    alice = await add_user(conn)
    _, secret = await enrol(conn, alice)
    assert isinstance(await present(conn, alice, code(secret)), Proved)
    assert await present(conn, alice, code(secret)) == Refusal("code_used")
    assert await present(conn, alice, code(secret, NOW - STEP)) == Refusal("code_used")
    assert await present(conn, alice, code(secret), NOW + STEP) == Refusal("code_used")
    assert isinstance(await present(conn, alice, code(secret, NOW + STEP), NOW + STEP), Proved)


async def test_a_39_the_code_that_confirmed_is_spent(conn: Connection) -> None:
    alice = await add_user(conn)
    _, secret = await enrol(conn, alice, NOW)
    assert await present(conn, alice, code(secret)) == Refusal("code_used")


async def test_a_39_one_code_at_once_from_many(pool: Pool) -> None:
    async with transaction(pool) as conn:
        alice = await add_user(conn)
        _, secret = await enrol(conn, alice)

    async def raced() -> Proved | Refusal:
        async with transaction(pool) as conn:
            unlimited = replace(TOOLS, limited=False)
            return await prove("totp", attempt(conn, alice, with_=unlimited, code=code(secret)))

    answers = await asyncio.gather(*(raced() for _ in range(50)))
    assert [type(answer) for answer in answers].count(Proved) == 1
    assert answers.count(Refusal("code_used")) == 49


async def test_several_apps(conn: Connection) -> None:
    alice = await add_user(conn)
    first, secret = await enrol(conn, alice)
    second, other = await enrol(conn, alice)
    assert await present(conn, alice, code(other)) == Proved(alice.sub, Evidence("totp", NOW, second))
    assert await present(conn, alice, code(secret)) == Proved(alice.sub, Evidence("totp", NOW, first))


async def test_a_code_of_somebody_else(conn: Connection) -> None:
    alice, mallory = await add_user(conn), await add_user(conn, "mallory")
    await enrol(conn, alice)
    _, secret = await enrol(conn, mallory)
    assert await present(conn, alice, code(secret)) == Refusal("code_wrong")
    assert await present(conn, None, code(secret)) == Refusal("code_wrong")


async def test_spaces_and_dashes_are_ignored(conn: Connection) -> None:
    alice = await add_user(conn)
    _, secret = await enrol(conn, alice)
    digits = code(secret)
    assert isinstance(await present(conn, alice, f" {digits[:3]}\u00a0-{digits[3:]} "), Proved)


def full_width(digits: str) -> str:
    return "".join(chr(ord(digit) + 0xFEE0) for digit in digits)


async def test_anything_but_six_ascii_digits_is_wrong(conn: Connection) -> None:
    alice = await add_user(conn)
    _, secret = await enrol(conn, alice)
    digits = code(secret)
    odd = (
        "",
        digits[:5],
        digits + "0",
        full_width(digits),
        "abcdef",
        "²" * 6,
        digits + "\x00",
        "1" * 100_000,
        "\ud800",
    )
    for typed in odd:
        assert await present(conn, alice, typed) == Refusal("code_wrong")
    assert isinstance(await present(conn, alice, digits), Proved)


async def test_f23_a_broken_row_leaves_the_other_apps_working(conn: Connection) -> None:
    alice = await add_user(conn)
    broken, _ = await enrol(conn, alice)
    _, secret = await enrol(conn, alice)
    await conn.execute("UPDATE totp_credentials SET sealed_seed = $2 WHERE id = $1", broken, b"rubbish")
    assert isinstance(await present(conn, alice, code(secret)), Proved)


async def test_a_42_a_seed_moved_to_another_row_does_not_open(conn: Connection) -> None:
    alice, mallory = await add_user(conn), await add_user(conn, "mallory")
    target, _ = await enrol(conn, alice)
    source, secret = await enrol(conn, mallory)
    await conn.execute(
        """
        UPDATE totp_credentials SET sealed_seed = (SELECT sealed_seed FROM totp_credentials WHERE id = $2)
        WHERE id = $1
        """,
        target,
        source,
    )
    assert await present(conn, alice, code(secret)) == Refusal("code_wrong")


async def test_a_42_the_seed_is_sealed_and_160_bits(conn: Connection) -> None:
    """ASVS 6.5.3, G14."""
    alice = await add_user(conn)
    _, secret = await enrol(conn, alice)
    seed = base64.b32decode(secret)
    (stored,) = await totp_credentials.list_confirmed(conn, alice.sub)
    assert len(seed) == 20
    assert seed not in stored.sealed_seed
    assert secret.encode() not in stored.sealed_seed


async def test_a_42_nothing_counts_before_it_is_confirmed(conn: Connection) -> None:
    alice = await add_user(conn)
    here = await session_of(conn, alice)
    begun = await totp.begin_enrolment(conn, alice, here, TOOLS, NOW)
    assert isinstance(begun, Enrolment)
    assert await authenticators(conn, alice) == ()
    assert await present(conn, alice, code(begun.secret)) == Refusal("code_wrong")
    wrong = await totp.confirm(conn, alice, here, "000000", TOOLS, NOW)
    assert wrong == Refusal("code_wrong")
    assert await present(conn, alice, code(begun.secret)) == Refusal("code_wrong")
    assert await totp.find_enrolment(conn, alice, here, TOOLS, NOW) == begun


async def test_a_42_a_confirmed_seed_is_never_shown_again(conn: Connection) -> None:
    alice = await add_user(conn)
    here = await session_of(conn, alice)
    await enrol(conn, alice)
    assert await totp.find_enrolment(conn, alice, here, TOOLS, NOW) is None


async def test_a_42_an_abandoned_enrolment_ends(conn: Connection) -> None:
    alice = await add_user(conn)
    here = await session_of(conn, alice)
    begun = await totp.begin_enrolment(conn, alice, here, TOOLS, NOW)
    assert isinstance(begun, Enrolment)
    late = NOW + timedelta(minutes=10)
    assert await totp.find_enrolment(conn, alice, here, TOOLS, late) is None
    answer = await totp.confirm(conn, alice, here, code(begun.secret, late), TOOLS, late)
    assert answer == Refusal("form_expired")


async def test_a_new_beginning_replaces_the_former(conn: Connection) -> None:
    alice = await add_user(conn)
    here = await session_of(conn, alice)
    first = await totp.begin_enrolment(conn, alice, here, TOOLS, NOW)
    second = await totp.begin_enrolment(conn, alice, here, TOOLS, NOW)
    assert isinstance(first, Enrolment)
    assert isinstance(second, Enrolment)
    assert first.secret != second.secret
    assert await totp.confirm(conn, alice, here, code(first.secret), TOOLS, NOW) == Refusal("code_wrong")
    assert isinstance(
        await totp.confirm(conn, alice, here, code(second.secret), TOOLS, NOW, name=" My phone\n"),
        TotpCredential,
    )
    assert [one.name for one in await authenticators(conn, alice)] == ["My phone"]


async def test_a_74_an_enrolment_of_somebody_else(conn: Connection) -> None:
    alice, mallory = await add_user(conn), await add_user(conn, "mallory")
    here, there = await session_of(conn, alice), await session_of(conn, mallory)
    begun = await totp.begin_enrolment(conn, alice, here, TOOLS, NOW)
    assert isinstance(begun, Enrolment)
    for session in (here, there):
        answer = await totp.confirm(conn, mallory, session, code(begun.secret), TOOLS, NOW)
        assert answer == Refusal("form_expired")


async def test_a_76_an_enrolment_belongs_to_the_session_that_began_it(conn: Connection) -> None:
    """Another session of the same account neither shows it, nor confirms it, nor takes its place."""
    alice = await add_user(conn)
    here, there = await session_of(conn, alice), await session_of(conn, alice)
    own = await totp.begin_enrolment(conn, alice, here, TOOLS, NOW)
    other = await totp.begin_enrolment(conn, alice, there, TOOLS, NOW)
    assert isinstance(own, Enrolment)
    assert isinstance(other, Enrolment)
    assert await totp.find_enrolment(conn, alice, here, TOOLS, NOW) == own
    assert await totp.confirm(conn, alice, here, code(other.secret), TOOLS, NOW) == Refusal("code_wrong")
    added = await totp.confirm(conn, alice, here, code(own.secret), TOOLS, NOW)
    assert isinstance(added, TotpCredential)
    assert isinstance(await present(conn, alice, code(own.secret, NOW + STEP), NOW + STEP), Proved)
    assert await present(conn, alice, code(other.secret, NOW + STEP), NOW + STEP) == Refusal("code_wrong")


async def test_at_most_ten_apps(conn: Connection) -> None:
    alice = await add_user(conn)
    here = await session_of(conn, alice)
    for _ in range(10):
        await enrol(conn, alice)
    assert await totp.begin_enrolment(conn, alice, here, TOOLS, NOW) == Refusal("totp_limit")


async def test_what_the_page_shows(conn: Connection) -> None:
    alice = await add_user(conn, "álice")
    here = await session_of(conn, alice)
    begun = await totp.begin_enrolment(conn, alice, here, TOOLS, NOW)
    assert isinstance(begun, Enrolment)
    uri = urlsplit(begun.uri)
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Example Bank:álice")
    assert parse_qs(uri.query) == {"secret": [begun.secret], "issuer": ["Example Bank"]}
    picture = ElementTree.fromstring(begun.svg)  # noqa: S314 - our own picture
    assert "viewBox" in picture.attrib
    assert not {"width", "height", "style"} & set(picture.attrib)
    assert "style" not in begun.svg
    for shown in (begun.secret, begun.uri, begun.svg):
        assert shown not in repr(begun)
