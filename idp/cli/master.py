"""The master key, as the commands come by it."""

from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey, MasterKeyError
from idp.cli.output import refuse
from idp.keys.custody import ensure_master_key
from idp.settings import Settings
from idp.store.database import Pool


async def master_key(pool: Pool, installation: Settings) -> MasterKey:
    """The installation's master key; refuses where it is missing, malformed or another one."""
    given = installation.master_key.get_secret_value() if installation.master_key else None
    try:
        return await ensure_master_key(pool, installation.keys_dir, given, entropy=system_entropy)
    except MasterKeyError as error:
        refuse(str(error))
