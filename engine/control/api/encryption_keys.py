"""`KmsKeyId`: which of the daemon's keys something is sealed under. There is no AWS KMS here; a key
is a file NAME.key in the folder that `[serve] encryption_keys_dir` names."""

from engine.control.api.faults import KMSKeyNotAccessibleFault
from engine.control.translate.key_name import plain_name
from engine.control.vault import DEFAULT, Vault


def key_name(text: str, vault: Vault) -> str:
    """The vault's name of a key that is given as AWS does: an id, an alias, or the ARN of one; of
    none, the default's. Raises KMSKeyNotAccessibleFault where there is no such key."""
    name = plain_name(text)
    if not name:
        return DEFAULT
    if name not in vault.names:
        known = ", ".join(vault.names) or "none is there"
        raise KMSKeyNotAccessibleFault(
            "The key that KmsKeyId names is not one of the daemon's. Put it into the folder that"
            " [serve] encryption_keys_dir of the daemon's file names, as NAME.key, and name it so;"
            f" keys there: {known}."
        )
    return name
