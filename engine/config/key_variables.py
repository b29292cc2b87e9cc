"""Variables of the environment by which encryption keys are given; where each leads is told in
`engine.control.key_source`. (pure)"""

from typing import Final

KEY: Final = "PENSTOCK_KEY"
KEY_FILE: Final = "PENSTOCK_KEY_FILE"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""Where systemd puts what LoadCredential= names (systemd.exec, "Credentials")."""
