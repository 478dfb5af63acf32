"""``python -m idp.settings > docs/settings.md``."""

import sys

from idp.settings.document import settings_document

sys.stdout.write(settings_document())
