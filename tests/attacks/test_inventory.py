"""What is proved by looking: at the source, the schema, what a fresh installation holds, and what is served."""

import ast
import base64
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from httpx2 import Response
from starlette.routing import Mount, Route

from idp.app import build
from idp.authn import throttle
from idp.base import jwk
from idp.base.seal import MasterKey
from idp.keys.custody import Custody, read_ring, tend
from idp.keys.schedule import Policy
from idp.settings import load_settings
from idp.store.database import Pool
from idp.web.routes import ROUTES
from tests.doubles import START, FrozenClock, SeededEntropy
from tests.driver import ISSUER, PASSWORD, Browser, Rig, authorization, exchange, response_of, running

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "controls.md").read_text("utf-8")
SOURCES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8")) for path in ROOT.glob("idp/**/*.py")}

CRYPTOGRAPHIC = {
    "hashlib",
    "hmac",
    "secrets",
    "ssl",
    "cryptography",
    "argon2",
    "joserfc",
    "authlib",
    "pyotp",
    "webauthn",
}
ABOVE_THE_LOWEST_FLOOR = {
    "idp/authn/methods/totp.py": {"pyotp"},
    "idp/authn/attestation.py": {"webauthn", "cryptography"},
    "idp/authn/methods/webauthn/ceremony.py": {"webauthn"},
    "idp/authn/methods/webauthn/registration.py": {"webauthn", "cryptography"},
    "idp/authn/methods/webauthn/authentication.py": {"webauthn"},
    "idp/notify/smtp.py": {"ssl"},
    "idp/oauth/issue.py": {"authlib"},
    "idp/oauth/pkce.py": {"authlib"},
    # Names of things, no secrets: the version of a static file, the tags of published documents, a socket's directory.
    "idp/web/discovery.py": {"hashlib"},
    "idp/store/client_logos.py": {"hashlib"},
    "idp/keys/ring.py": {"hashlib"},
    "idp/store/embedded.py": {"hashlib"},
    # The demo application is a client of ours, and no part of the provider.
    "idp/cli/demo/site.py": {"authlib", "joserfc"},
    "idp/cli/demo/api.py": {"joserfc"},
}
SECRET_WORDS = {
    "secret",
    "password",
    "digest",
    "hash",
    "hashed",
    "signature",
    "verifier",
    "otp",
    "seed",
    "mac",
    "nonce",
}


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as running_rig:
        yield running_rig


def imports(tree: ast.Module) -> Iterator[str]:
    """The modules that a source imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def table_below(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading of docs/controls.md, each as its cells."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    first = section[section.index("|") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in first.splitlines()[2:]]


def test_11_2_1_and_11_1_2_cryptography_is_met_in_known_places() -> None:
    for path, tree in SOURCES.items():
        met = {module.partition(".")[0] for module in imports(tree)} & CRYPTOGRAPHIC
        if not path.startswith("idp/base/"):
            assert met <= ABOVE_THE_LOWEST_FLOOR.get(path, set()), path


def test_11_2_1_nobody_mixes_bits_of_their_own() -> None:
    """No exclusive or and no modular power: what a home-made primitive cannot do without."""
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            assert not isinstance(node, ast.BitXor), path
            assert not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "pow"), path


def last_name(node: ast.expr) -> str:
    """What a value is called: a variable, an attribute, the key of an item, the function that made it."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(name)), *_]):
            return name
        case ast.Call(func=function):
            return last_name(function)
        case ast.Await(value=value):
            return last_name(value)
    return ""


def unsafe_comparisons(tree: ast.Module) -> Iterator[str]:
    """Where something secret by its name is compared by `==` with anything but a constant; `…_at` is a time."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        plain = any(isinstance(side, ast.Constant) for side in sides)
        telling = any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
        names = [last_name(side).lower() for side in sides]
        if telling and not plain and any(set(name.split("_")) & SECRET_WORDS for name in names if name[-3:] != "_at"):
            yield ast.unparse(node)


def test_11_2_4_secrets_are_compared_in_constant_time() -> None:
    found = {path: list(unsafe_comparisons(tree)) for path, tree in SOURCES.items()}
    assert {path: where for path, where in found.items() if where} == {}


@pytest.mark.parametrize("code", ["secret == given", "row['token_hash'] != x", "form.get('password') == sha256(y)"])
def test_11_2_4_the_scan_sees(code: str) -> None:
    assert list(unsafe_comparisons(ast.parse(code)))


def test_11_4_1_and_11_4_3_no_hash_is_weak() -> None:
    """MD5 and SHA-1 are nowhere by name, and signatures are by SHA-256 or Ed25519; TOTP's HMAC is its library's own."""
    for path, tree in SOURCES.items():
        for node in ast.walk(tree):
            name = getattr(node, "id", "") or getattr(node, "attr", "") or getattr(node, "arg", "") or ""
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            assert not re.fullmatch(r"(?i)md[245]|sha_?1|rs1|ripemd\w*|hmac", f"{text}" if text else name) or (
                (name == "hmac" and path in {"idp/base/digest.py", "idp/base/seal.py"})
                # How published lists of breached passwords are sorted, which protects nothing (`range_digest`).
                or (text == "sha1" and path == "idp/base/digest.py")
            ), path
    assert set(jwk.ALGORITHMS) == {"RS256", "PS256", "ES256", "EdDSA"}


def test_11_3_1_and_11_3_2_one_cipher_in_one_place() -> None:
    """AES-GCM, in base/seal.py: no other cipher, no mode and no padding is even imported."""
    users_ = {
        path: {module for module in imports(tree) if "ciphers" in module or "padding" in module}
        for path, tree in SOURCES.items()
    }
    found = {path: modules for path, modules in users_.items() if modules}
    assert found == {"idp/base/seal.py": {"cryptography.hazmat.primitives.ciphers.aead"}}


def test_11_5_1_and_6_5_3_randomness_comes_from_one_place() -> None:
    """ASVS 7.2.3, G14: the system's generator in base/entropy.py; no UUID, no other generator."""
    for path, tree in SOURCES.items():
        found = {module.partition(".")[0] for module in imports(tree)} & {"secrets", "random", "uuid"}
        found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"urandom", "getrandom"}
        assert found == ({"secrets"} if path == "idp/base/entropy.py" else set()), path


async def test_G14_and_7_2_3_and_11_5_1_what_is_drawn_has_128_bits(database: str, tmp_path: Path) -> None:
    """Everything drawn from registration to refresh, and how long what is given away is (ASVS 7.2.2)."""
    drawn: list[int] = []
    source = SeededEntropy()

    def recorded(size: int) -> bytes:
        drawn.append(size)
        return source(size)

    environ = {"IDP_ISSUER": ISSUER, "IDP_DATABASE_URL": database, "IDP_RSA_BITS": "2048"}
    homes = {"IDP_KEYS_DIR": str(tmp_path / "keys"), "IDP_DATA_DIR": str(tmp_path / "data")}
    app = build(load_settings({**environ, **homes}), clock=FrozenClock(), entropy=recorded)
    async with app.router.lifespan_context(app):
        rig = Rig(app, app.state.provider.clock)
        await rig.add_client()
        browser = rig.browser()
        await browser.register()
        code = response_of(await allow(browser, scope="openid offline_access"))["code"]
        tokens = (await exchange(rig, code)).json()
        async with app.state.provider.pool.acquire() as conn:
            ids = await conn.fetch(
                "SELECT sub FROM users UNION SELECT id FROM sessions UNION SELECT id FROM authorizations"
            )
    # The one that may be shorter is AES-GCM's nonce, which has to be new and need not be secret.
    assert min(size for size in drawn if size != 12) >= 16
    secrets = [code, tokens["refresh_token"], *browser.http.cookies.values()]
    assert all(len(secret) * 6 >= 256 for secret in secrets), "base64url has 6 bits a character"
    assert len(ids) == 3
    assert all(len(row[0]) * 5 >= 128 for row in ids), "base32 has 5 bits a character"


async def allow(browser: Browser, **changes: str) -> Response:
    """The answer to an authorization request, which a signed-in user allows where asked."""
    answer = await browser.get(authorization(**changes))
    return await browser.submit(decision="allow") if answer.status_code == 200 else answer


async def test_11_4_2_and_G11_stored_passwords(rig: Rig) -> None:
    await rig.browser().register()
    async with rig.app.state.provider.pool.acquire() as conn:
        stored = await conn.fetchval("SELECT password_hash FROM users")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    salt = stored.split("$")[4]
    assert len(salt) * 6 >= 128


async def test_G12_and_11_2_3_new_keys_have_128_bits_of_strength(pool: Pool) -> None:
    """By default, RSA of 3072 bits (NIST SP 800-57 part 1, table 2); each key serves one algorithm."""
    hour = timedelta(hours=1)
    custody = Custody(
        pool, MasterKey(b"m" * 32), Policy(hour, hour, hour, hour, hour), load_settings({}).rsa_bits, SeededEntropy()
    )
    await tend(custody, START)
    published = [key.public_jwk for key in await read_ring(pool)]
    assert {one["alg"] for one in published} == set(jwk.ALGORITHMS)
    moduli = [number(one["n"]) for one in published if one["kty"] == "RSA"]
    assert len(moduli) == 4
    assert all(modulus.bit_length() == 3072 for modulus in moduli)
    assert {one["crv"] for one in published if one["kty"] != "RSA"} == {"P-256", "Ed25519"}


def number(encoded: str) -> int:
    """The number in a member of a JWK (RFC 7518 §6.3)."""
    return int.from_bytes(base64.urlsafe_b64decode(encoded + "=="))


def test_11_6_1_primes_are_sound() -> None:
    """FIPS 186-5 A.1.3: e = 65537, primes of half the length each, not close to one another."""
    members = jwk.generate("RS256", rsa_bits=3072).native.as_dict(private=True)
    n, e, d, p, q = (number(str(members[name])) for name in ("n", "e", "d", "p", "q"))
    assert (n, e) == (p * q, 65537)
    assert p.bit_length() == q.bit_length() == 1536
    assert abs(p - q) > 2 ** (1536 - 100)
    assert d > 2**1536


async def test_6_3_2_and_13_2_3_a_fresh_installation_knows_nobody(rig: Rig) -> None:
    """No user, no client, no session: nothing that could sign in."""
    async with rig.app.state.provider.pool.acquire() as conn:
        names = [row[0] for row in await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        filled = {name for name in names if await conn.fetchval(f"SELECT count(*) FROM {name}")}
    assert filled - {"audit_events", "job_runs"} == {"alembic_version", "signing_keys"}


async def test_6_3_2_default_names_do_not_sign_in(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get("/login")
    for name in ("admin", "root", "test", "user", "administrator", "idp"):
        for password in (name, "admin", "password", "changeme", "", f"{name}123"):
            answer = await browser.submit(username=name, password=password)
            assert answer.status_code == 400
            assert 'data-error="wrong_credentials"' in answer.text


async def test_6_4_2_nobody_is_asked_for_a_hint(pool: Pool) -> None:
    async with pool.acquire() as conn:
        rows = await conn.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        )
    words = {word for row in rows for word in f"{row[0]}_{row[1]}".split("_")}
    fields = {
        name for page in ROOT.glob("templates/**/*.html") for name in re.findall(r'name="(\w+)"', page.read_text())
    }
    assert len(words) > 30
    assert "username" in fields
    assert not (words | fields) & {"hint", "hints", "question", "questions", "answer", "answers", "maiden", "pet"}


async def test_6_2_10_a_password_does_not_expire(rig: Rig) -> None:
    await rig.browser().register()
    rig.clock.advance(timedelta(days=400))
    browser = rig.browser()
    await browser.get("/login")
    answer = await browser.submit(username="alice", password=PASSWORD)
    assert (answer.status_code, answer.url.path) == (200, "/account")


@pytest.mark.parametrize("password", ["localhost localhost", "Identity-alice-2026", "alice alice alice!"])
async def test_6_1_2_and_6_2_11_words_of_the_place(rig: Rig, password: str) -> None:
    browser = rig.browser()
    await browser.get("/register")
    answer = await browser.submit(username="alice", password=password, email="", phone="")
    assert answer.status_code == 400
    assert 'data-error="password_context"' in answer.text


PRIVATE_PATHS = (
    "/.git/HEAD", "/.git/config", "/.svn/entries", "/.hg/store", "/.env", "/.htaccess", "/.DS_Store",
    "/keys/master.key", "/data/postgres/pgdata/postmaster.pid", "/pyproject.toml", "/requirements.lock",
    "/backup.sql", "/docs", "/redoc", "/openapi.json", "/debug", "/console", "/metrics", "/server-status",
    "/admin", "/phpinfo.php", "/static", "/static/", "/static/../app.py", "/static/..%2f..%2fapp.py",
    "/static/%2e%2e/%2e%2e/app.py", "/static/.hidden", "/static//etc/passwd", "/templates/error.html",
)  # fmt: skip


async def test_13_4_1_and_13_4_3_and_13_4_5_and_13_4_7_nothing_else_is_served(rig: Rig) -> None:
    """Also that no listing, no debugging aid and no documentation is there (ASVS 13.4.2)."""
    async with rig.browser().http as http:
        for path in PRIVATE_PATHS:
            answer = await http.request("GET", path, headers={"Accept": "*/*"})
            assert answer.status_code == 404, path
            assert b"root:" not in answer.content, path
            assert b"import " not in answer.content, path


async def test_13_4_4_and_13_4_6_no_trace_and_no_versions(rig: Rig) -> None:
    async with rig.browser().http as http:
        for path in ("/", "/login", "/oauth/token", "/static/style.css"):
            assert (await http.request("TRACE", path)).status_code in {404, 405}
            assert not {"server", "x-powered-by"} & set((await http.get(path)).headers)


def test_3_7_1_pages_use_what_browsers_have() -> None:
    for page in ROOT.glob("templates/**/*.html"):
        assert not re.search(r"<(object|embed|applet|frame|frameset|iframe)\b", page.read_text()), page.name


def test_14_3_3_scripts_keep_nothing_in_the_browser() -> None:
    """Neither storage nor cookies are touched by a script of ours, nor does one stay there to work (ASVS 3.5.7)."""
    scripts = list((ROOT / "idp" / "web" / "static").glob("*.js"))
    assert scripts
    for script in scripts:
        found = re.findall(
            r"localStorage|sessionStorage|indexedDB|document\.cookie|cookieStore|caches\b|serviceWorker",
            script.read_text(),
        )
        assert found == [], script.name


def test_16_2_3_the_log_goes_to_one_place() -> None:
    """To standard error, by one handler; no source opens a log of its own."""
    configuration = json.loads((ROOT / "idp" / "cli" / "logging.json").read_text())
    [handler] = configuration["handlers"].values()
    assert (handler["class"], handler["stream"]) == ("logging.StreamHandler", "ext://sys.stderr")
    assert {name: found.get("handlers") for name, found in configuration["loggers"].items()} == {
        "idp": None,
        "uvicorn": None,
    }
    for path, tree in SOURCES.items():
        named = {last_name(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)}
        assert not {name for name in named if name.endswith("Handler") and name != "ExceptionHandler"}, path
        assert not {"logging.handlers", "syslog"} & set(imports(tree)), path


def test_1_2_5_and_1_3_7_and_1_5_2_input_is_never_run() -> None:
    """No shell, no source or template made of a text, and nothing that makes objects of bytes (ASVS 1.2.5, 1.5.2)."""
    for path, tree in SOURCES.items():
        assert not {"pickle", "marshal", "shelve", "yaml", "dill"} & set(imports(tree)), path
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called, shell = last_name(node.func), {word.arg for word in node.keywords}
            assert called not in {"eval", "exec", "from_string", "system", "popen", "create_subprocess_shell"}, path
            assert "shell" not in shell, path
            assert called != "Template", path


FORKS = """
import multiprocessing
from idp.base.entropy import system_entropy, token
def draw(_):
    return [token(system_entropy) for _ in range(25_000)]
token(system_entropy)
with multiprocessing.get_context("fork").Pool(8) as pool:
    print(len({one for drawn in pool.map(draw, range(8), chunksize=1) for one in drawn}))
"""


def test_11_5_2_and_F25_processes_that_fork_draw_different_values() -> None:
    """Eight of them, from the moment after the first value was drawn (ASVS 11.5.1)."""
    assert subprocess.check_output([sys.executable, "-c", FORKS], cwd=ROOT, text=True).strip() == "200000"


@pytest.mark.parametrize("changed", [lambda value: value[:-1] + ("A" if value[-1] != "A" else "B"), lambda _: "x" * 43])
async def test_7_2_1_and_7_2_2_a_session_is_what_the_server_says(rig: Rig, changed: object) -> None:
    browser = rig.browser()
    await browser.register()
    value = browser.http.cookies["idp_session"]
    browser.http.cookies.clear()
    assert callable(changed)
    browser.http.cookies.set("idp_session", changed(value), domain="localhost.local", path="/")
    assert (await browser.get("/account")).url.path == "/login"


def routes() -> set[str]:
    """Every route by method and path, as the document writes them."""
    found = set()
    for route in ROUTES:
        if isinstance(route, Mount):
            found.add(f"GET {route.path}/*")
        else:
            assert isinstance(route, Route)
            found.update(f"{method} {route.path}" for method in (route.methods or {"GET"}) - {"HEAD", "OPTIONS"})
    return found


def documented_routes() -> dict[str, str]:
    """What the document says of each route or pattern of routes."""
    rows = ((re.findall(r"`([^`]+)`", row[0]), row[1]) for row in table_below("Ways in"))
    return {pattern: session for patterns, session in rows for pattern in patterns}


def test_6_1_3_and_6_3_4_every_way_in_is_documented() -> None:
    patterns = documented_routes()
    assert {route for route in routes() if not any(fnmatch(route, pattern) for pattern in patterns)} == set()
    assert {pattern for pattern in patterns if not any(fnmatch(route, pattern) for route in routes())} == set()


async def test_6_3_4_no_route_gives_a_session_for_nothing(rig: Rig) -> None:
    """A stranger's browser that has begun a sign-in, with nothing in the form and with everything but a proof."""
    names = {"username": "alice", "password": "", "code": "", "decision": "allow", "method": "password"}
    for route in sorted(routes()):
        method, path = route.split()
        path = path.replace("{id}", "x").replace("*", "style.css")
        for fields in (dict[str, str](), names):
            browser = rig.browser()
            page = await browser.get("/login")
            url = f"{path}?{urlsplit(str(page.url)).query}"
            answer = await browser.http.request(method, url, data=fields if method == "POST" else None)
            assert answer.status_code < 500, route
            assert "idp_session" not in browser.http.cookies, route


def test_7_1_1_and_11_1_1_documented_lives_are_the_settings() -> None:
    """Those of keys too; every duration that can be set is either here or in docs/keys.md."""
    rows = [row for row in table_below("Lives") if row[1] != "fixed"]
    given = {row[1].strip("`"): row[2].strip("`") for row in rows}
    for setting, value in given.items():
        field = setting.removeprefix("IDP_").lower()
        assert getattr(load_settings({setting: value}), field) == getattr(load_settings({}), field), setting
    assert {"IDP_SESSION_LIFE", "IDP_SESSION_IDLE", "IDP_REFRESH_TOKEN_LIFE", "IDP_KEY_LIFE"} <= set(given)


def test_7_1_2_and_7_1_3_sessions_are_documented() -> None:
    section = DOCUMENT.partition("\n## Lives\n")[2].partition("\n## ")[0]
    assert "any number of browsers at once" in section
    assert "Signing out here ends the session and the tokens" in section


def test_6_1_1_documented_limits_are_those_of_the_code() -> None:
    limits = {row[0]: f"{row[1]}; {row[2]}" for row in table_below("Limits on guessing")}
    waits = f"{throttle.GUESS_WAITS.shortest.seconds} seconds to {throttle.GUESS_WAITS.longest.seconds // 3600} hour"
    window = f"{throttle.FREE} in {throttle.WINDOW.seconds // 60} minutes; waits that grow from {waits}"
    assert [text for text in limits.values() if text == window] == [window] * 3
    text = " ".join(limits.values())
    strangers_hours = int(throttle.STRANGERS_WINDOW.total_seconds() // 3600)
    assert f"{throttle.STRANGERS_PER_ACCOUNT} in {strangers_hours} hours" in text
    assert f"{throttle.PER_NETWORK} in {throttle.WINDOW.seconds // 60} minutes" in text
    assert f"{throttle.MOST_MISSES}, divided by the number of apps" in text
    assert f"{throttle.REGISTRATIONS} in {throttle.REGISTRATIONS_WINDOW.seconds // 3600} hour" in text


def test_11_1_2_every_algorithm_is_documented() -> None:
    """And the cipher, the password hash and every table that holds a key."""
    rows = table_below("Keys and algorithms")
    text = " ".join(" ".join(row) for row in rows)
    assert all(alg in text for alg in (*jwk.ALGORITHMS, "AES-256-GCM", "Argon2id", "HMAC-SHA-1", "SHA-256"))
    schema = " ".join(path.read_text() for path in ROOT.glob("alembic/versions/*.py"))
    keyed = set(re.findall(r"CREATE TABLE (\w+) \((?:(?!\n *\)).)*?\b(?:sealed_\w+|public_key)\b", schema, re.DOTALL))
    assert keyed == {"signing_keys", "totp_credentials", "totp_enrolments", "webauthn_credentials"}
    assert all(f"`{table}`" in text for table in keyed)
