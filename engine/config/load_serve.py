"""From the daemon's file to a checked configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.config.document import Document, read_toml
from engine.config.environment import expand_document
from engine.config.files import file_bytes, read_text
from engine.config.limits import Limits
from engine.config.problems import Problems, shown, shown_file
from engine.config.reach import KEY_ID, SECRET_KEY, on_loopback
from engine.config.secret import Secret
from engine.config.section import Section, read_section, type_name
from engine.config.serve import (
    TOPIC_NAME,
    AccessKey,
    CostConfig,
    DaemonConfig,
    KeySection,
    Role,
    ServeConfig,
    Token,
    TokenSection,
    Topic,
    TopicSection,
)

TABLES: Final = ("serve", "cost", "limits", "access_key", "token", "topic")

SECRET_CHARACTERS_MIN: Final = 20
"""A secret that signs requests may be tried by whoever has one signed request; AWS's have 40."""


def load_daemon(
    path: Path | None,
    environment: Mapping[str, str],
    given: Mapping[str, str] | None = None,
) -> DaemonConfig:
    """Read the daemon's file and what it names; without one, defaults and the environment. `given`
    are keys of `[serve]` from the command line, which count more.

    Raises:
        ConfigError: the first problem; `problems` on it holds all that were found.
    """
    problems = Problems("" if path is None else shown_file(path))
    text = "" if path is None else read_text(file_bytes, path, "FILE", problems)
    problems.raise_found()
    document = read_toml(text or "", problems) or {}
    problems.raise_found()
    document = expand_document(document, environment, problems)
    problems.raise_found()
    written = document.get("serve", {})
    if given and isinstance(written, dict):
        document = {**document, "serve": {**written, **given}}
    directory = Path() if path is None else path.parent
    return _Reading(document, directory, environment, problems).config()


class _Reading:
    """One file while it is read."""

    def __init__(
        self,
        document: Document,
        directory: Path,
        environment: Mapping[str, str],
        problems: Problems,
    ) -> None:
        self._directory = directory
        self._environment = environment
        self._problems = problems
        for name in document:
            if name not in TABLES:
                problems.unknown(shown(name), name, TABLES, "table")
        self._tables = {name: self._table(document.get(name, {}), name) for name in TABLES}

    def config(self) -> DaemonConfig:
        serve = read_section(ServeConfig, self._tables["serve"], self._problems)
        cost = read_section(CostConfig, self._tables["cost"], self._problems)
        limits = read_section(Limits, self._tables["limits"], self._problems)
        keys = [self._key(n, table) for n, table in self._named("access_key")]
        tokens = [self._token(n, table) for n, table in self._named("token")]
        topics = [self._topic(n, table) for n, table in self._named("topic")]
        self._problems.raise_found()
        made = DaemonConfig(
            serve=ServeConfig(**serve),
            cost=CostConfig(**cost),
            limits=Limits(**limits),
            access_keys=tuple(key for key in (*keys, self._environments_key()) if key),
            tokens=tuple(token for token in tokens if token),
            topics=tuple(topic for topic in topics if topic),
            store_password=self._from_environment(
                serve.get("store_password_env", ""), "serve.store_password_env"
            ),
        )
        self._check_unique(made)
        self._check_exposed(made)
        self._problems.raise_found()
        return made

    def _table(self, value: object, where: str) -> Document:
        if isinstance(value, dict):
            return value
        self._problems.add(where, f"expected a table [{where}], found {type_name(value)}")
        return {}

    def _named(self, table: str) -> list[tuple[str, Document]]:
        return [
            (name, self._table(value, f"{table}.{shown(name)}"))
            for name, value in self._tables[table].items()
        ]

    def _key(self, name: str, table: Document) -> AccessKey | None:
        where = f"access_key.{shown(name)}"
        read = self._read(KeySection, table, where)
        secret = self._secret(read, where, "secret_file", "secret_env")
        if secret is None or not read.get("id"):
            return None
        return AccessKey(name, read["id"], secret, read.get("role") or Role.ADMIN)

    def _token(self, name: str, table: Document) -> Token | None:
        where = f"token.{shown(name)}"
        read = self._read(TokenSection, table, where)
        secret = self._secret(read, where, "file", "env")
        return None if secret is None else Token(name, secret, read.get("role") or Role.READ_ONLY)

    def _topic(self, name: str, table: Document) -> Topic | None:
        where = f"topic.{shown(name)}"
        read = self._read(TopicSection, table, where)
        if TOPIC_NAME.fullmatch(name) is None:
            self._problems.add(where, "its name must be 1 to 256 letters, digits, - and _")
            return None
        token = None
        if read.get("token_file") or read.get("token_env"):
            token = self._named_secret(read, where, "token_file", "token_env")
        url = read.get("url")
        return Topic(name, Secret(url), token) if url else None

    def _read(self, section: type[Section], table: Document, where: str) -> dict[str, Any]:
        return read_section(section, table, self._problems, where=where)

    def _environments_key(self) -> AccessKey | None:
        given = [name for name in (KEY_ID, SECRET_KEY) if self._environment.get(name)]
        if not given:
            return None
        if len(given) == 1:
            (missing,) = {KEY_ID, SECRET_KEY}.difference(given)
            self._problems.add(missing, f"is not set, but {given[0]} is; they go together")
            return None
        secret = self._long_enough(Secret(self._environment[SECRET_KEY]), SECRET_KEY)
        found = Problems("the environment")
        read = read_section(KeySection, {"id": self._environment[KEY_ID]}, found, where=KEY_ID)
        if found:
            self._problems.add(KEY_ID, "must be 16 to 128 letters, digits and _")
            return None
        return AccessKey("environment", read["id"], secret, Role.ADMIN)

    def _secret(self, read: Mapping[str, Any], where: str, file: str, env: str) -> Secret | None:
        secret = self._named_secret(read, where, file, env)
        return None if secret is None else self._long_enough(secret, where)

    def _named_secret(
        self, read: Mapping[str, Any], where: str, file: str, env: str
    ) -> Secret | None:
        given = [name for name in (file, env) if read.get(name)]
        if len(given) != 1:
            self._problems.add(where, f"needs one of {file} and {env}")
            return None
        if given == [file]:
            return self._from_file(read[file], f"{where}.{file}")
        return self._from_environment(read[env], f"{where}.{env}")

    def _long_enough(self, secret: Secret, where: str) -> Secret:
        if len(secret.reveal()) < SECRET_CHARACTERS_MIN:
            self._problems.add(
                where,
                f"its secret must have at least {SECRET_CHARACTERS_MIN} characters",
                hint="draw one: openssl rand -base64 30",
            )
        return secret

    def _from_environment(self, variable: str, where: str) -> Secret | None:
        if not variable:
            return None
        value = self._environment.get(variable, "")
        if not value:
            self._problems.add(where, f"environment variable {variable} is not set")
            return None
        return Secret(value)

    def _from_file(self, name: str, where: str) -> Secret | None:
        text = read_text(file_bytes, self._directory / name, where, self._problems)
        line = (text or "").split("\n", 1)[0].removesuffix("\r")
        if text is not None and not line:
            self._problems.add(where, "the first line of the file must be the secret")
        return Secret(line) if line else None

    def _check_unique(self, made: DaemonConfig) -> None:
        ids = [key.id for key in made.access_keys]
        for key in made.access_keys:
            if ids.count(key.id) > 1:
                self._problems.add(f"access_key.{shown(key.name)}", "its id is another key's too")

    def _check_exposed(self, made: DaemonConfig) -> None:
        serve = made.serve
        if bool(serve.tls_certificate) != bool(serve.tls_key):
            self._problems.add("serve.tls_certificate", "and serve.tls_key go together")
        if on_loopback(serve.listen):
            return
        if not made.access_keys:
            self._problems.add(
                "serve.listen",
                "is not on loopback, and there is no access key: everybody could use it",
                hint=f"add an [access_key.NAME], or set {KEY_ID} and {SECRET_KEY}",
            )
        if not (serve.tls_certificate or serve.behind_proxy):
            self._problems.add(
                "serve.listen",
                "is not on loopback, and what is sent there could be read on the way",
                hint="set tls_certificate and tls_key, or behind_proxy = true if something in"
                " front of it speaks TLS",
            )
