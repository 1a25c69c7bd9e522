"""The web configuration: one bad file per mistake with its exact message, and what good files mean.

promtool, which reads the same format, must accept every good file, and refuse what is bad in its eyes too.
"""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from exporter.web.config import WebConfigError, load
from exporter.web.config_schema import UNSUPPORTED, UNSUPPORTED_VALUES
from tests.certificates import write_all

HERE = Path(__file__).parent / "web_config"
DOCS = Path(__file__).parent.parent / "docs" / "web-configuration.md"

#: What each file of web_config/bad is told; {directory} stands for where it is.
FAULTS: dict[str, tuple[str, ...]] = {
    "authority_without_policy": (
        "tls_server_config.client_ca_file: without effect; add client_auth_type: RequireAndVerifyClientCert",
    ),
    "cipher_invented": (
        "tls_server_config.cipher_suites[0]: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048 is no cipher that is known here; did you mean TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256?",
    ),
    "ciphers_of_tls13_alone": (
        "tls_server_config.cipher_suites: names none for TLS 1.2; add one, or write min_version: TLS13",
    ),
    "curves": (
        "tls_server_config.curve_preferences: not supported here, for Python's ssl cannot order curves; remove it",
    ),
    "file_empty_name": (
        "tls_server_config.cert_file: nothing is not the name of a file; write one",
        "tls_server_config.key_file: a list is not the name of a file; write one",
    ),
    "file_is_directory": ("tls_server_config.cert_file: {directory} is not a file; name one",),
    "file_key_encrypted": (
        "tls_server_config.key_file: the key is encrypted, and there is nobody to ask for its password; decrypt it (openssl pkey)",
    ),
    "file_key_of_another": (
        "tls_server_config.key_file: the key does not belong to the certificate in cert_file; name the one it was made with",
    ),
    "file_missing": (
        "tls_server_config.cert_file: {directory}/missing.crt cannot be read (No such file or directory); name a file that the exporter may read",
        "tls_server_config.key_file: {directory}/missing.key cannot be read (No such file or directory); name a file that the exporter may read",
        "tls_server_config.client_ca_file: {directory}/missing.ca cannot be read (No such file or directory); name a file that the exporter may read",
    ),
    "file_no_authority": (
        "tls_server_config.client_ca_file: {directory}/empty.pem holds no certificate; write those of your authorities in PEM",
    ),
    "file_no_certificate": (
        "tls_server_config.cert_file: {directory}/notes.txt holds no certificate; write one in PEM, the chain below it",
    ),
    "file_no_key": (
        "tls_server_config.key_file: {directory}/notes.txt holds no private key; write one in PEM, without a password",
    ),
    "header_of_two_lines": (
        "http_server_config.headers.X-XSS-Protection: text that no header can bear; write one line of ASCII, in quotes",
        "http_server_config.headers.Content-Security-Policy: a list that no header can bear; write one line of ASCII, in quotes",
    ),
    "header_unknown": ("http_server_config.headers.Content-Type: unknown key; did you mean X-Content-Type-Options?",),
    "header_wrong_value": (
        "http_server_config.headers.X-Content-Type-Options: sniff is none of nosniff; write one of them",
        "http_server_config.headers.X-Frame-Options: foo is none of deny, sameorigin; write one of them",
    ),
    "http2": ("http_server_config.http2: HTTP/2 is not supported here; write false, or remove it",),
    "http2_no_boolean": ("http_server_config.http2: text is neither true nor false; write one of them",),
    "inline": (
        "tls_server_config.cert: not supported here; put the certificate into a file, and name that in cert_file",
        "tls_server_config.key: not supported here; put the key into a file, and name that in key_file",
        "tls_server_config.client_ca: not supported here; put the certificates into a file, and name that in client_ca_file",
    ),
    "key_not_text": ("1: a key must be text; put it in quotes",),
    "key_twice": (
        "tls_server_config.key_file: set twice, in lines 3 and 4; keep one",
        "tls_server_config.key_file: the key does not belong to the certificate in cert_file; name the one it was made with",
    ),
    "list": ("the file: a list is not a mapping; write `key: value` lines",),
    "many_at_once": (
        "rate_limit: not supported here; remove it, and limit requests in a proxy where they must be",
        "tls_server_config.client_auth: unknown key; did you mean client_auth_type?",
        "tls_server_config.min_version: 'TLS9' is none of TLS12, TLS13; write one of them",
        "http_server_config.http2: HTTP/2 is not supported here; write false, or remove it",
        "basic_auth_users.john: its value is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'",
        "tls_server_config.cert_file: {directory}/missing.crt cannot be read (No such file or directory); name a file that the exporter may read",
    ),
    "name_no_text": ("tls_server_config.client_allowed_sans[1]: a number is no name; write one, in quotes if need be",),
    "names_empty": ("tls_server_config.client_allowed_sans: it is not a list of one or more; write `- ` before each",),
    "names_not_a_list": (
        "tls_server_config.client_allowed_sans: text is not a list of one or more; write `- ` before each",
    ),
    "names_without_policy": (
        "tls_server_config.client_allowed_sans: without effect; add client_auth_type: RequireAndVerifyClientCert",
    ),
    "no_certificate": ("tls_server_config.cert_file: missing; TLS needs cert_file and key_file",),
    "no_key": ("tls_server_config.key_file: missing; TLS needs cert_file and key_file",),
    "not_yaml": (
        "{directory}/not_yaml.yml: line 2, column 1: while parsing a flow node, expected the node content, but found ...",
    ),
    "password_as_alias": ("{directory}/password_as_alias.yml: line 2, column 10: found undefined alias ...",),
    "password_as_tag": (
        "{directory}/password_as_tag.yml: line 2, column 10: could not determine a constructor for the tag ...",
    ),
    "policy_any_certificate": (
        "tls_server_config.client_auth_type: RequireAnyClientCert is not supported here, for it takes certificates that nobody verified; write RequireAndVerifyClientCert",
    ),
    "policy_requested_certificate": (
        "tls_server_config.client_auth_type: RequestClientCert is not supported here, for it takes certificates that nobody verified; write RequireAndVerifyClientCert",
    ),
    "policy_unknown": (
        "tls_server_config.client_auth_type: 'RequireAndVerify' is none of NoClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert; write one of them",
    ),
    "policy_without_authority": (
        "tls_server_config.client_auth_type: VerifyClientCertIfGiven needs client_ca_file; name one",
    ),
    "preference_no_boolean": (
        "tls_server_config.prefer_server_cipher_suites: a number is neither true nor false; write one of them",
    ),
    "rate_limit": ("rate_limit: not supported here; remove it, and limit requests in a proxy where they must be",),
    "section_not_a_mapping": (
        "tls_server_config: text is not a mapping; write `key: value` lines",
        "http_server_config: a list is not a mapping; write `key: value` lines",
        "basic_auth_users: text is not a mapping; write `name: hash` lines",
    ),
    "text": ("the file: text is not a mapping; write `key: value` lines",),
    "unknown_key": ("tls_server_config.cert_filse: unknown key; did you mean cert_file?",),
    "unknown_section": ("tls_config: unknown key; did you mean tls_server_config?",),
    "user_impossible": (
        "basic_auth_users.a:b: such a name can never log in; write one of printable characters without a colon",
        "basic_auth_users.'a\\nb': such a name can never log in; write one of printable characters without a colon",
        "basic_auth_users.42: a name must be text; put it in quotes",
    ),
    "user_too_dear": (
        "basic_auth_users.bob: its hash has cost 18, at which a check takes many seconds, and 14 is the most; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'",
    ),
    "user_with_hash_cut_off": (
        "basic_auth_users.john: its value is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'",
    ),
    "user_with_password": (
        "basic_auth_users.john: its value is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'",
        "basic_auth_users.jane: its value is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'",
    ),
    "user_without_hash": (
        "basic_auth_users.alice: its value is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'",
    ),
    "version_number": ("tls_server_config.min_version: a number is none of TLS12, TLS13; write one of them",),
    "version_old": (
        "tls_server_config.min_version: TLS10 is not supported here, for it is broken (RFC 8996); write TLS12 or TLS13",
        "tls_server_config.max_version: TLS11 is not supported here, for it is broken (RFC 8996); write TLS12 or TLS13",
    ),
    "version_unknown": ("tls_server_config.min_version: 'TLS111' is none of TLS12, TLS13; write one of them",),
    "versions_crossed": ("tls_server_config.min_version: is above max_version; change one of them",),
    "versions_without_certificate": (
        "tls_server_config.cert_file: missing; TLS needs cert_file and key_file",
        "tls_server_config.key_file: missing; TLS needs cert_file and key_file",
    ),
}

#: What the toolkit allows and we do not: it cannot be done here, or it would mean less than it seems to.
REFUSED_HERE_ALONE = {
    "ciphers_of_tls13_alone",
    "curves",
    "file_no_authority",
    "http2",
    "name_no_text",
    "names_empty",
    "names_without_policy",
    "policy_any_certificate",
    "policy_requested_certificate",
    "policy_without_authority",
    "rate_limit",
    "user_impossible",
    "user_too_dear",
    "version_old",
    "versions_crossed",
    "versions_without_certificate",
}

GOOD = sorted(path.stem for path in (HERE / "good").glob("*.yml"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with every file that the configurations name."""
    directory = tmp_path_factory.mktemp("web_config")
    write_all(directory)
    return directory


def placed(directory: Path, kind: str, name: str) -> str:
    """Put a sample beside the files that it names, and return its path."""
    return str(shutil.copy(HERE / kind / f"{name}.yml", directory / f"{name}.yml"))


def test_every_bad_file_has_its_message() -> None:
    assert {path.stem for path in (HERE / "bad").glob("*.yml")} == set(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_file_is_told_everything_that_is_wrong_with_it(directory: Path, name: str) -> None:
    with pytest.raises(WebConfigError) as caught:
        load(placed(directory, "bad", name))
    assert caught.value.faults == tuple(line.replace("{directory}", str(directory)) for line in FAULTS[name])
    assert str(caught.value) == "\n".join(caught.value.faults)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_is_accepted(directory: Path, name: str) -> None:
    load(placed(directory, "good", name))


def promtool(path: str) -> subprocess.CompletedProcess[str]:
    """Return what promtool says of a file."""
    command = ["promtool", "check", "web-config", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def require_accepted(answer: subprocess.CompletedProcess[str]) -> None:
    """Fail where promtool refuses a file, unless it is older than a key in it."""
    if re.search("field (client_allowed_sans|rate_limit) not found", answer.stderr):
        pytest.skip("needs a promtool that knows every key of today, from a newer Prometheus")
    assert answer.returncode == 0, answer.stderr


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool: Debian's package `prometheus`"
)


@pytest.mark.system
@needs_promtool
@pytest.mark.parametrize("name", GOOD)
def test_promtool_accepts_what_we_accept(directory: Path, name: str) -> None:
    require_accepted(promtool(placed(directory, "good", name)))


@pytest.mark.system
@needs_promtool
@pytest.mark.parametrize("name", sorted(FAULTS.keys() - REFUSED_HERE_ALONE))
def test_promtool_refuses_what_is_wrong_everywhere(directory: Path, name: str) -> None:
    assert promtool(placed(directory, "bad", name)).returncode != 0


@pytest.mark.system
@needs_promtool
@pytest.mark.parametrize("name", sorted(REFUSED_HERE_ALONE))
def test_promtool_accepts_what_is_refused_here_alone(directory: Path, name: str) -> None:
    require_accepted(promtool(placed(directory, "bad", name)))


@pytest.mark.parametrize("name", ["empty", "only_a_comment", "sections_without_keys"])
def test_a_file_that_says_nothing_means_plain_http_for_everybody(directory: Path, name: str) -> None:
    config = load(placed(directory, "good", name))
    assert config.tls is None
    assert (dict(config.users.hashes), dict(config.headers)) == ({}, {})


def test_everything_that_a_file_says_of_tls_reaches_ssl(directory: Path) -> None:
    config = load(placed(directory, "good", "versions_and_ciphers"))
    assert config.tls is not None
    context = config.tls.context
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
    older = [each["name"] for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert older == ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]
    assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert context.verify_mode is ssl.CERT_NONE


def test_the_usual_tls_is_of_today(directory: Path) -> None:
    config = load(placed(directory, "good", "tls"))
    assert config.tls is not None
    context = config.tls.context
    assert (context.minimum_version, context.maximum_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_a_header_without_a_value_is_not_sent(directory: Path) -> None:
    assert dict(load(placed(directory, "good", "headers")).headers) == {
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "deny",
        "X-XSS-Protection": "1",
    }


def test_paths_are_relative_to_the_file_and_may_be_absolute(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory.parent)
    placed(directory, "good", "tls")
    assert load(f"{directory.name}/tls.yml").tls is not None
    files = f"  cert_file: {directory}/server.crt\n  key_file: {directory}/server.key\n"
    (tmp_path / "absolute.yml").write_text(f"tls_server_config:\n{files}")
    assert load(str(tmp_path / "absolute.yml")).tls is not None


def test_a_file_that_is_not_there_is_an_error(directory: Path) -> None:
    with pytest.raises(WebConfigError) as caught:
        load(f"{directory}/nothing.yml")
    assert str(caught.value) == f"{directory}/nothing.yml: cannot be read: No such file or directory"


def test_a_weak_key_is_refused_by_name(tmp_path: Path) -> None:
    write_all(tmp_path)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:512", "-nodes", "-subj", "/CN=weak"]
    files = ["-keyout", str(tmp_path / "server.key"), "-out", str(tmp_path / "server.crt")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    with pytest.raises(WebConfigError) as caught:
        load(placed(tmp_path, "good", "tls"))
    assert str(caught.value) == (
        "tls_server_config.cert_file: OpenSSL refuses the certificate (EE_KEY_TOO_SMALL); make one of today's strength"
    )


@pytest.mark.parametrize("kind", ["good", "bad"])
def test_no_secret_is_shown(directory: Path, kind: str) -> None:
    for path in (HERE / kind).glob("*.yml"):
        try:
            shown = repr(load(placed(directory, kind, path.stem)))
        except WebConfigError as error:
            shown = str(error)
        assert not re.search(r"\$2y|hunter2|\bdoe\b|1234|secret|BEGIN", shown), path.stem


def test_the_page_about_it_names_every_key_and_value_that_is_refused() -> None:
    text = DOCS.read_text()
    missing = [name for name in (*UNSUPPORTED, *UNSUPPORTED_VALUES) if f"`{name.rpartition('.')[2]}`" not in text]
    assert missing == []


def test_the_example_of_the_page_is_good(directory: Path) -> None:
    shown, _ = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (directory / "shown.yml").write_text(shown)
    assert load(f"{directory}/shown.yml").tls is not None
