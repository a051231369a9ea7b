"""Labelled notes: made-up secrets in valid forms, and harmless texts that look a little like them.

No secret stands here as such: each is put together from parts at run time, with random characters, so that a forge's
own scanner lets this file pass. `secret_notes` and `harmless_notes` give the same notes for the same seed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LETTERS, DIGITS = string.ascii_letters, string.digits
ALNUM = LETTERS + DIGITS
HEX = "0123456789abcdef"
URLSAFE = ALNUM + "-_"
BASE64 = ALNUM + "+/"


@dataclass(frozen=True)
class Note:
    """`kind`: of the secret in it, "" for none; `where`: the sort of place that the secret stands in."""

    kind: str
    where: str
    text: str
    secret: str = ""


class Maker:
    """Random strings of given alphabets."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, alphabet: str, length: int) -> str:
        """As random as a token is: with at least one digit and one letter, if the alphabet has them."""
        while True:
            made = "".join(self.random.choices(alphabet, k=length))
            if length < 8 or alphabet.isalpha() or alphabet.isdigit():
                return made
            if any(c.isdigit() for c in made) and any(c.isalpha() for c in made):
                return made

    def password(self, length: int = 12) -> str:
        parts = [string.ascii_lowercase, string.ascii_uppercase, DIGITS, "!#%^*-_+"]
        made = [self.random.choice(part) for part in parts] + self.random.choices(ALNUM, k=length - 4)
        self.random.shuffle(made)
        return self.random.choice(LETTERS) + "".join(made)

    def jwt(self) -> str:
        head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}))
        body = _b64(json.dumps({"sub": self.of(DIGITS, 10), "iat": 1_700_000_000}))
        return f"{head}.{body}.{self.of(URLSAFE, 43)}"

    def pem(self, kind: str) -> str:
        lines = [self.of(BASE64, 64) for _ in range(4)]
        return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])

    def pgp(self) -> str:
        return self.pem("PGP PRIVATE KEY" + " BLOCK").replace("-----\n", "-----\n\n", 1)


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


TOKENS: dict[str, Callable[[Maker], str]] = {
    "aws access key": lambda m: "AK" + "IA" + m.of(string.ascii_uppercase + "234567", 16),
    "aws temporary key": lambda m: "AS" + "IA" + m.of(string.ascii_uppercase + "234567", 16),
    "github token": lambda m: "gh" + "p_" + m.of(ALNUM, 36),
    "github app token": lambda m: "gh" + "s_" + m.of(ALNUM, 36),
    "github fine-grained": lambda m: "github" + "_pat_" + m.of(ALNUM, 22) + "_" + m.of(ALNUM, 59),
    "gitlab token": lambda m: "gl" + "pat-" + m.of(URLSAFE, 19) + "x",
    "slack bot": lambda m: "xo" + f"xb-{m.of(DIGITS, 12)}-{m.of(DIGITS, 12)}-{m.of(ALNUM, 24)}",
    "slack app": lambda m: (
        "xa" + f"pp-1-A{m.of(string.ascii_uppercase + DIGITS, 10)}-{m.of(DIGITS, 13)}-{m.of(HEX, 64)}"
    ),
    "slack webhook": lambda m: (
        "https://hooks." + f"slack.com/services/T{m.of(ALNUM.upper(), 8)}/B{m.of(ALNUM.upper(), 8)}/{m.of(ALNUM, 24)}"
    ),
    "discord webhook": lambda m: "https://discord.com/api/" + f"webhooks/{m.of(DIGITS, 18)}/{m.of(URLSAFE, 68)}",
    "discord bot": lambda m: "M" + m.of(ALNUM, 23) + "." + m.of(URLSAFE, 6) + "." + m.of(URLSAFE, 26) + "x",
    "stripe secret": lambda m: "sk" + "_live_" + m.of(ALNUM, 24),
    "stripe restricted": lambda m: "rk" + "_live_" + m.of(ALNUM, 24),
    "stripe webhook": lambda m: "wh" + "sec_" + m.of(ALNUM, 32),
    "openai legacy": lambda m: "sk-" + m.of(ALNUM, 20) + "T3Blbk" + "FJ" + m.of(ALNUM, 20),
    "openai project": lambda m: "sk-pr" + "oj-" + m.of(URLSAFE, 74) + "T3Blbk" + "FJ" + m.of(URLSAFE, 73) + "A",
    "anthropic": lambda m: "sk-an" + "t-api03-" + m.of(URLSAFE, 92) + "AA",
    "google api": lambda m: "AI" + "za" + m.of(URLSAFE, 34) + "Q",
    "google oauth secret": lambda m: "GOC" + "SPX-" + m.of(URLSAFE, 27) + "x",
    "sendgrid": lambda m: "S" + "G." + m.of(URLSAFE, 22) + "." + m.of(URLSAFE, 42) + "k",
    "twilio key": lambda m: "S" + "K" + m.of(HEX, 32),
    "npm": lambda m: "np" + "m_" + m.of(ALNUM, 36),
    "pypi": lambda m: "py" + "pi-AgEIcHlwaS5vcmc" + m.of(URLSAFE, 140) + "A",
    "jwt": lambda m: m.jwt(),
    "telegram bot": lambda m: m.of("123456789", 10) + ":AA" + m.of(URLSAFE, 32) + "x",
    "hugging face": lambda m: "h" + "f_" + m.of(LETTERS, 34),
    "digitalocean": lambda m: "do" + "p_v1_" + m.of(HEX, 64),
    "shopify": lambda m: "shp" + "at_" + m.of(HEX, 32),
    "databricks": lambda m: "da" + "pi" + m.of(HEX, 32),
    "mailchimp": lambda m: m.of(HEX, 32) + "-us" + "14",
    "mailgun": lambda m: "ke" + "y-" + m.of(HEX, 32),
    "square": lambda m: "sq0" + "csp-" + m.of(URLSAFE, 42) + "x",
    "linear": lambda m: "lin" + "_api_" + m.of(ALNUM, 40),
    "notion": lambda m: "nt" + "n_" + m.of(DIGITS, 11) + m.of(ALNUM, 35),
    "vault": lambda m: "hv" + "s." + m.of(URLSAFE, 95) + "x",
    "doppler": lambda m: "dp." + "pt." + m.of(ALNUM, 43),
    "age key": lambda m: "AGE-SEC" + "RET-KEY-1" + m.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "grafana": lambda m: "gl" + "sa_" + m.of(ALNUM, 32) + "_" + m.of(HEX, 8),
    "new relic": lambda m: "NR" + "AK-" + m.of(string.ascii_uppercase + DIGITS, 27),
    "docker": lambda m: "dc" + "kr_pat_" + m.of(URLSAFE, 26) + "x",
    "tailscale": lambda m: "ts" + "key-auth-" + m.of(ALNUM, 12) + "CNTRL-" + m.of(ALNUM, 32),
    "atlassian": lambda m: "ATA" + "TT3xFfGF0" + m.of(URLSAFE, 170) + "=" + m.of(HEX.upper(), 8),
    "postman": lambda m: "PM" + "AK-" + m.of(HEX, 24) + "-" + m.of(HEX, 34),
    "groq": lambda m: "gs" + "k_" + m.of(ALNUM, 52),
    "xai": lambda m: "xa" + "i-" + m.of(ALNUM, 80),
    "replicate": lambda m: "r" + "8_" + m.of(ALNUM, 37),
    "perplexity": lambda m: "pp" + "lx-" + m.of(ALNUM, 48),
    "supabase": lambda m: "sb" + "p_" + m.of(HEX, 40),
    "sentry": lambda m: "sn" + "tryu_" + m.of(HEX, 64),
    "pulumi": lambda m: "pu" + "l-" + m.of(HEX, 40),
    "rubygems": lambda m: "ruby" + "gems_" + m.of(HEX, 48),
    "crates.io": lambda m: "ci" + "o" + m.of(ALNUM, 32),
    "terraform cloud": lambda m: m.of(ALNUM, 14) + ".atla" + "sv1." + m.of(URLSAFE, 66) + "x",
}
TOKEN_PLACES = {
    "prose": "For the nightly job we use {secret} until the new one is issued; ask Ines before you rotate it.",
    "backticks": "Deploying needs `{secret}`, which the runner reads.",
    "code block": "How to call it:\n\n```bash\nexport SERVICE={secret}\n./scripts/deploy.sh\n```\n",
    "table": "| service | account | value |\n|---|---|---|\n| staging | ci-bot | {secret} |\n| test | none | none |\n",
    "env": "# .env of the worker\nLOG_LEVEL=info\nSERVICE_CREDENTIAL={secret}\nPORT=8080\n",
    "json": 'The settings are:\n\n    {{"endpoint": "https://api.internal", "value": "{secret}"}}\n',
    "end of sentence": "The old one was {secret}.",
}
NAMED: dict[str, Callable[[Maker], str]] = {  # what no form tells from any other string: a name beside it does
    "password": lambda m: m.password(),
    "long password": lambda m: m.password(20),
    "random token": lambda m: m.of(ALNUM, 40),
    "hex token": lambda m: m.of(HEX, 40),
    "base64 key": lambda m: m.of(BASE64, 43) + "=",
}
NAMED_PLACES = {
    "password": [
        "The admin password is {secret}",
        "password: {secret}",
        "- **Password:** `{secret}`",
        "DB_PASSWORD={secret}",
        'config = {{"user": "svc", "password": "{secret}"}}',
        "| user | password |\n|---|---|\n| root | {secret} |\n",
        "Server=db1;Database=app;User Id=svc;Password={secret};Encrypt=true",
        "machine git.internal login ci password {secret}",
        "mysql --user=root --password={secret} app",
        "Login with user ops, pwd = '{secret}'",
        "postgres://svc:{secret}@db.internal:5432/app is what the worker uses",
        "curl -u deploy:{secret} https://repo.internal/upload",
        "The Wi-Fi passphrase: {secret}",
        "spring.datasource.password={secret}",
        "password：{secret}（社内のみ）",
    ],
    "random token": [
        "API_KEY={secret}",
        "api_key: {secret}",
        "The API token for the dashboard is {secret}",
        "Authorization: Bearer {secret}",
        "curl -H 'X-Api-Key: {secret}' https://api.internal/v1/jobs",
        'auth_token = "{secret}"',
        "export CLOUDFLARE_API_TOKEN={secret}",
        "aws_secret_access_key = {secret}",
        "client_secret: '{secret}'",
        "//registry.internal/:_authToken={secret}",
        "git clone https://oauth2:{secret}@git.internal/team/app.git",
        "https://api.internal/v1/jobs?access_token={secret}&page=2",
        "| service | token |\n|---|---|\n| billing | {secret} |\n",
        "webhook signing secret → {secret}",
        "SECRET_KEY_BASE={secret}",
    ],
}
NAMED_PLACES["long password"] = NAMED_PLACES["password"]
NAMED_PLACES["hex token"] = NAMED_PLACES["base64 key"] = NAMED_PLACES["random token"]
BLOCKS: dict[str, Callable[[Maker], str]] = {
    "rsa key": lambda m: m.pem("RSA PRIVATE" + " KEY"),
    "pkcs8 key": lambda m: m.pem("PRIVATE" + " KEY"),
    "encrypted key": lambda m: m.pem("ENCRYPTED PRIVATE" + " KEY"),
    "ec key": lambda m: m.pem("EC PRIVATE" + " KEY"),
    "openssh key": lambda m: m.pem("OPENSSH PRIVATE" + " KEY"),
    "pgp key": lambda m: m.pgp(),
    "service account": lambda m: json.dumps(
        {"type": "service_account", "private_key": m.pem("PRIVATE" + " KEY") + "\n", "client_id": m.of(DIGITS, 21)}
    ),
    "putty key": lambda m: (
        "PuTTY-User-Key" + f"-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n{m.of(BASE64, 48)}"
    ),
    "azure storage": lambda m: (
        "DefaultEndpointsProtocol=https;AccountName=backup;Account" + f"Key={m.of(BASE64, 86)}=="
    ),
}
BLOCK_PLACES = {
    "prose": "This is how the bastion is reached:\n\n{secret}\n\nKeep it safe.",
    "code block": "The deploy key:\n\n```\n{secret}\n```\n",
}


def secret_notes(seed: int = 1) -> Iterator[Note]:
    """Every kind of secret in every kind of place that it may stand in."""
    maker = Maker(seed)
    for kind, make in TOKENS.items():
        for where, text in TOKEN_PLACES.items():
            yield _note(kind, where, text, make(maker))
    for kind, make in NAMED.items():
        for text in NAMED_PLACES[kind]:
            yield _note(kind, text.split("{")[0].strip()[-24:] or "url", text, make(maker))
    for kind, make in BLOCKS.items():
        for where, text in BLOCK_PLACES.items():
            yield _note(kind, where, text, make(maker))


def _note(kind: str, where: str, text: str, secret: str) -> Note:
    if "://" in text and kind.endswith("password"):  # where these would have to be escaped
        secret = secret.replace("#", "z").replace("%", "z").replace("^", "z")
    if kind in NAMED and ("://" in text or "?" in text):
        secret = secret.replace("/", "x").replace("+", "y")
    return Note(kind, where, text.format(secret=secret), secret)


def later_secret_notes(seed: int = 1) -> Iterator[Note]:
    """Notes that were written after the rules: `second` before they were corrected by it, `third` after that."""
    maker = Maker(seed)
    for where, notes in (("second", SECOND_SECRETS), ("third", THIRD_SECRETS)):
        for text in notes:
            password = maker.password()
            if "://" in text:
                password = password.replace("#", "z").replace("%", "z").replace("^", "z")
            made = {"password": password, "token": maker.of(ALNUM, 40)}
            made |= {"hexadecimal": maker.of(HEX, 32), "base64": maker.of(BASE64, 40)}
            secret = next(value for key, value in made.items() if f"{{{key}}}" in text)
            yield Note("later", where, text.format(**made), secret)


def later_harmless_notes() -> Iterator[Note]:
    """The same, of harmless notes."""
    for where, notes in (("second", SECOND_HARMLESS), ("third", THIRD_HARMLESS)):
        yield from (Note("", where, text) for text in notes.strip("\n").split("\n---\n"))


# --- harmless --------------------------------------------------------------------------------------------------


def harmless_notes(seed: int = 1) -> Iterator[Note]:
    """What agents and people write down, with identifiers of all sorts and no secret."""
    maker = Maker(seed)
    for text in HARMLESS.strip("\n").split("\n---\n"):
        yield Note("", "written", text)
    for name, made in _identifiers(maker):
        for text in IDENTIFIER_PLACES:
            yield Note("", name, text.format(value=made()))


IDENTIFIER_PLACES = (
    "The run to compare with is {value}; it was the last good one.",
    "Details: `{value}`",
    'The answer was {{"id": "{value}", "ok": true}}',
    "| what | value |\n|---|---|\n| reference | {value} |\n",
    "```\nref={value}\n```\n",
)


def _identifiers(maker: Maker) -> Iterator[tuple[str, Callable[[], str]]]:
    def digest(name: str) -> str:
        return hashlib.new(name, maker.of(ALNUM, 20).encode()).hexdigest()

    yield "git sha", lambda: digest("sha1")
    yield "short sha", lambda: digest("sha1")[:9]
    yield "md5", lambda: digest("md5")
    yield "sha-256", lambda: digest("sha256")
    yield "sha-512", lambda: digest("sha512")
    yield "image digest", lambda: f"registry.internal/app@sha256:{digest('sha256')}"
    yield "uuid", lambda: str(uuid.UUID(int=maker.random.getrandbits(128), version=4))
    yield "ulid", lambda: "01kb" + maker.of("0123456789abcdefghjkmnpqrstvwxyz", 12)
    yield "integrity", lambda: "sha512-" + maker.of(BASE64, 86) + "=="
    yield "ssh fingerprint", lambda: "SHA256:" + maker.of(BASE64, 43)
    yield "public key", lambda: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + maker.of(BASE64, 43) + " ops@bastion"
    yield "base64 text", lambda: base64.b64encode(b"The lamp in the hall is lit every evening").decode()
    yield "trace id", lambda: f"00-{maker.of(HEX, 32)}-{maker.of(HEX, 16)}-01"
    yield "aws resource", lambda: f"arn:aws:iam::{maker.of(DIGITS, 12)}:role/deploy-{maker.of(HEX, 8)}"
    yield "instance", lambda: f"i-0{maker.of(HEX, 16)}"
    yield "document url", lambda: f"https://docs.internal/d/{maker.of(URLSAFE, 42)}x/edit?tab=t.0"
    yield "video url", lambda: f"https://video.internal/watch?v={maker.of(URLSAFE, 10)}x&t=42s"
    yield "long path", lambda: f"/var/lib/app/cache/{maker.of(HEX, 2)}/{maker.of(HEX, 38)}/index.bin"
    yield "e-mail id", lambda: f"<{maker.of(ALNUM, 24)}@mail.internal>"
    yield "stripe customer", lambda: "cus_" + maker.of(ALNUM, 14)
    yield "publishable key", lambda: "pk_" + "live_" + maker.of(ALNUM, 24)
    yield "wallet", lambda: "0x" + maker.of(HEX, 40)
    yield "ipfs", lambda: "Qm" + maker.of(ALNUM, 44)
    yield "cache key", lambda: f"cache-key-{digest('md5')}"
    yield "css colours", lambda: f"#{maker.of(HEX, 6)}, #{maker.of(HEX, 6)} and #{maker.of(HEX, 6)}"
    yield "version", lambda: f"v{maker.random.randint(1, 9)}.{maker.random.randint(0, 40)}.0-rc.1+{digest('sha1')[:7]}"


HARMLESS = r"""
The API rate limit is 100 requests/min
---
Use the token bucket algorithm for rate limiting; each token is worth 4096 bytes.
---
max_tokens: 4096 and temperature: 0.2 work best for summaries.
---
The password policy asks for at least 12 characters, one digit and one symbol.
---
Reset your password at https://accounts.internal/reset/password?lang=en
---
Set `API_KEY=YOUR_TOKEN_HERE` before you start the worker.
---
Set GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx in your shell.
---
export OPENAI_API_KEY=sk-...
---
export OPENAI_API_KEY="<your key>"
---
ANTHROPIC_API_KEY=sk-ant-... goes into .env, never into the repository.
---
The AWS documentation uses AKIAIOSFODNN7EXAMPLE as its example key id.
---
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
---
DATABASE_URL=postgres://user:password@localhost:5432/app
---
DATABASE_URL=postgres://postgres:postgres@localhost:5432/postgres is the default of the compose file.
---
postgres://${DB_USER}:${DB_PASSWORD}@${DB_HOST}/app
---
mongodb+srv://<username>:<password>@cluster0.internal/test
---
redis://:changeme@localhost:6379/0
---
password: changeme
---
password = os.environ["DB_PASSWORD"]
---
password = getpass.getpass("Password: ")
---
const token = await getToken(request.headers.authorization)
---
token = settings.AUTH_TOKEN or request.cookies["session_token"]
---
const apiKey = process.env.OPENAI_API_KEY;
---
secret: ${{ secrets.DEPLOY_KEY }}
---
env:
  TOKEN: ${{ secrets.GITHUB_TOKEN }}
---
secretKeyRef:
  name: billing-database-credentials-v2
  key: password
---
kubectl create secret generic billing-db --from-literal=password=$DB_PASSWORD
---
kubectl -n prod get secret billing-db-credentials -o yaml
---
The secret is stored in Vault under secret/data/billing/production/database-credentials.
---
secret_path: kv/data/teams/payments/stripe-live-restricted-key-2026
---
The token expires after 3600 seconds; refresh_token lives 30 days.
---
token_type: bearer, expires_in: 3600, scope: repo:read+write:packages
---
Authorization: Bearer <token>
---
curl -H "Authorization: Bearer $TOKEN" https://api.internal/v1/me
---
curl -u user:password https://repo.internal/
---
curl -u "$USER:$PASS" https://repo.internal/
---
The JWT begins with eyJ because that is base64 for {"
---
A private key file begins with -----BEGIN RSA PRIVATE KEY----- and must have mode 600.
---
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
---
-----BEGIN CERTIFICATE-----
MIIBkTCB+wIJAKHHCgVZU6FdMA0GCSqGSIb3DQEBBQUAMA0xCzAJBgNVBAYTAlVT
-----END CERTIFICATE-----
---
ssh-keygen -t ed25519 -C "deploy@ci" -f ~/.ssh/id_ed25519_deploy
---
IdentityFile ~/.ssh/keys/production/bastion_ed25519
---
Password authentication is disabled: PasswordAuthentication no, PermitRootLogin prohibit-password.
---
Passwords are hashed with argon2id, m=65536,t=3,p=4.
---
The password hash column is varchar(255); bcrypt needs 60.
---
password_hash: $2b$12$ is the prefix that bcrypt gives.
---
api_key_id: 7f3c2d1e-55aa-4b0c-9d2e-0a1b2c3d4e5f (the id, not the key)
---
token_id = 01kb2x7m9q4dk2wc
---
secret_name: prod/billing/stripe-2026-01
---
secret_arn: arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/billing-Ab12Cd
---
key: ctrl+shift+p opens the palette
---
primary key: (tenant_id, created_at, id); foreign key: account_id references accounts(id)
---
The cache key is sha256(model + prompt), the partition key is tenant_id#2026-11.
---
keyboard: the passphrase dialog has focus when it opens
---
The secret to fast tests: 0 network, 1 process, 2 fixtures.
---
Secret santa: we draw names on 2026-12-01 in the kitchen.
---
Auth: OAuth2 with PKCE; client_id is mesh-desktop, no client secret.
---
client_id: 1234567890-abcdefg.apps.googleusercontent.com
---
token: string (required), secret: string | null, password?: string
---
interface Login { user: string; password: string; totpToken?: string }
---
def check_password(user: User, password: str) -> bool: ...
---
parser.add_argument("--password", default=None, help="read from the keyring if not given")
---
docker login --username ci --password-stdin registry.internal < token.txt
---
gh auth login --with-token < ~/.config/token
---
The X-Api-Key header is required; the value comes from 1Password item "Billing API key (prod)".
---
op://Engineering/Billing API/credential is where the token is.
---
password: op://Private/Database/password
---
password: !vault |
  $ANSIBLE_VAULT;1.1;AES256
---
sops -d secrets/production.enc.yaml | kubectl apply -f -
---
ENC[AES256_GCM,data:CwE4O1s=,iv:2k=,aad:o=,tag:w=,type:str] is what sops writes
---
The tests use the password "correct horse battery staple".
---
Test users have the password `password123`.
---
password: ********
---
password: [REDACTED]
---
token: REDACTED
---
"api_key": "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
---
api_key = "0000000000000000000000000000000000000000"
---
TOKEN=abc123 in the examples is made up.
---
token=dummy-token-for-tests
---
FAKE_TOKEN = "test-token-1234"
---
STRIPE_KEY=sk_test_... for development
---
SECRET_KEY = "django-insecure-example-key-do-not-use"
---
CSRF: the hidden field csrf_token must equal the cookie csrftoken.
---
Tokens: 1,234 prompt, 567 completion, 1,801 total; cost 0.0123 USD.
---
Tokenizer: sentencepiece, vocabulary 32000, special tokens <s>, </s>, <unk>.
---
The pad token is [PAD], the separator token is [SEP], the mask token is [MASK].
---
tokens_per_second: 152.4 on one core with batch_size=8
---
The signing key rotates every 90d; see docs/security/key-rotation.md#procedure
---
Encryption key: derived by HKDF-SHA256 from the master key in the HSM, 256 bits.
---
access_key_enabled: false, private_key_path: /etc/ssl/private/server.key
---
ssl_certificate_key /etc/nginx/tls/live/app.internal/privkey.pem;
---
The credentials file is ~/.aws/credentials, profile mesh-staging.
---
credentials: same-origin in fetch() sends cookies
---
credential helper: git config --global credential.helper osxkeychain
---
GIT_ASKPASS=/usr/local/bin/askpass-from-keyring
---
https://git.internal/team/app.git is cloned with a deploy token from the CI variables.
---
git@git.internal:team/app.git
---
ssh://git@git.internal:2222/team/app.git
---
npm_config_registry=https://registry.internal/
---
//registry.internal/:_authToken=${NPM_TOKEN}
---
pip install --index-url https://pypi.internal/simple/ mesh-memory
---
mailto:ops@internal?subject=Outage%202026-11-22
---
The failing test is test_a_hand_edit_survives_a_later_learn_even_when_the_clock_goes_back
---
com.example.payments.infrastructure.persistence.JpaTransactionRepositoryImplementation
---
AbstractSingletonProxyFactoryBeanConfigurationPropertiesAutoConfiguration is a real class name
---
Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft
---
Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch has a railway station
---
pneumonoultramicroscopicsilicovolcanoconiosis
---
部署前先运行迁移脚本,然后重启工作进程。密码由值班人员保管。
---
パスワードは金庫にあります。トークンの有効期限は30日です。
---
비밀번호는 90일마다 바꿉니다. 토큰은 관리자에게 요청하세요.
---
Пароль хранится в менеджере паролей, токен выдаёт администратор.
---
La contraseña: pedirla a Inés. El token caduca cada 30 días.
---
Das Passwort steht im Tresor; das Token läuft nach 30 Tagen ab.
---
Le mot de passe : demander à l'équipe plateforme.
---
密码:请向管理员索取
---
🔐 Secrets live in the vault, not in notes. 🗝️ Keys too.
---
SELECT password_digest FROM users WHERE reset_token = $1 AND reset_sent_at > now() - interval '2h'
---
ALTER USER app WITH PASSWORD :'app_password';
---
GRANT SELECT ON secrets TO auditor; -- column token is encrypted
---
HTTP 401 with WWW-Authenticate: Bearer realm="api", error="invalid_token"
---
error: token has expired (exp=1763800000, now=1763803600)
---
Traceback: jwt.exceptions.InvalidSignatureError: Signature verification failed
---
fatal: Authentication failed for 'https://git.internal/team/app.git/'
---
The secret scanning job is called gitleaks-nightly-2 and runs at 03:15 UTC.
---
detect-secrets scan --all-files > .secrets.baseline
---
Baseline: "hashed_secret": "7c6a180b36896a0a8c02787eeafb0e4c" is a digest.
---
ETag: "33a64df551425fcc55e4d42a148795d9f25f89d4"
---
Set-Cookie: session=...; HttpOnly; Secure; SameSite=Lax
---
sessionid: see the browser's developer tools
---
nonce: 'r4nd0m' in the CSP example
---
The salt is the first 16 bytes; iterations=600000.
---
QR code of the guest Wi-Fi hangs in the kitchen; the password changes monthly.
---
PIN pad: the code for door 3 is at the front desk.
---
otpauth://totp/Mesh:ops@internal?secret=<base32>&issuer=Mesh
---
data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
---
<svg><path d="M3.9 12c0-1.71 1.39-3.1 3.1-3.1h4V7H7c-2.76 0-5 2.24-5 5s2.24 5 5 5h4v-1.9H7c-1.71 0z"/></svg>
---
go.sum: golang.org/x/crypto v0.31.0 h1:ihbySMvVjLAeSH1IbfcRTkD/iNscyz8rGzjF/E5hV6U=
---
"resolved": "https://registry.internal/left-pad/-/left-pad-1.3.0.tgz#5b8a3a7765dfe001261dde915589e782f8c94d1e"
---
FROM python@sha256:2d97f6910b16bd338d3060f261f53f144965f755599aab1acda1e13cf1731b1b
---
actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
---
ssh host key: ecdsa-sha2-nistp256 SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM
---
Merge commit 4f2d9c1e8b7a6f5e4d3c2b1a09f8e7d6c5b4a392 broke the token refresh
---
The secret of revision 8c1d4e7f9a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d was a wrong index
---
Deployment key: app-prod-eu-west-1-blue
---
idempotency key: 5f0c8a52-1d51-4ab2-8f0f-3e1b5f6c7d8e is sent with each retry
---
partition key: user#8842#2026-11-22
---
api key rotation: quarterly, next 2027-01-15T09:00:00Z
---
token usage: 12345678 in, 87654321 out
---
password length: 16..128; password age: 90days; password history: 24
---
password_reset_url: https://accounts.internal/reset
---
password_field: input#login-password-2
---
token_endpoint: https://login.internal/oauth2/v2.0/token
---
token: see 1Password
---
Password manager: Bitwarden self-hosted v2026.10.1
---
secret_ref: vault:payments/stripe#live
---
auth: basic (user "ci", password in CI variable REGISTRY_PASSWORD)
---
The token `<TOKEN>` stands for yours
---
Bearer authentication-with-short-lived-workload-identity
---
The access token is a JWT with aud=mesh-api and iss=https://login.internal/
---
Access key: Alt+Shift+K focuses the search box
---
API keys: 3 active, 1 revoked (2026-10-02), limit 10
---
secretsmanager:GetSecretValue and kms:Decrypt are what the role needs
---
AP12AB34CD56 is the label of the access point in room 4
---
ACCOUNT_KEY_ROTATION_ENABLED=true
---
"password" is column 3, "token" is column 7: cut -d, -f3,7
---
regexp for our keys: ^mk_[a-z0-9]{32}$
---
private_key: file:///run/secrets/tls.key
---
If token != expected: return 403
---
The lamp in the hall is lit by the caretaker at 17:30
---
Ines prefers meetings before 11:00; Jonas is away until 2026-12-01
---
Decision: SQLite for the index, since FTS5 scores every memory that has any word
---
Invoice 2026-11-0042 was paid on 2026-11-20, IBAN ends in 1234
---
Room key cards are at reception; lost cards cost 15 EUR
---
Order number 40-2938-AX-99817, tracking JD014600006281230704
---
ISBN 978-3-16-148410-0, DOI 10.1000/182, ORCID 0000-0002-1825-0097
---
License key for the demo: DEMO-0000-0000-0000
"""

SECOND_SECRETS = [
    "DB: user app, pw {password}, host db1",
    "Passwort für das Gastnetz ist {password}",
    "the root pass is {password}",
    "PGPASSWORD={password} psql",
    "'{password}' is the admin password",
    "token {token} (read only)",
    "my api key {token}",
    "GITHUB_PAT: {token}",
    "x-auth: {token}",
    "password -> {password}",
    "Password\n{password}",
    "login: ops / {password}",
    "credentials: ops:{password}",
    "the key for the weather API = {token}",
    "SENTRY_DSN=https://{hexadecimal}@o1.ingest.internal/2",
    "sshpass -p '{password}' ssh ops@host",
    "secret={token}",
    "cookie: session={token}",
    "CI_JOB_TOKEN is {token}",
    'password: "{password}" # prod',
]
THIRD_SECRETS = [
    "The staging Grafana admin login is admin with password {password}",
    "REDIS_URL=redis://default:{password}@cache.internal:6379/0",
    "ingest token: `{token}`",
    "export DATADOG_API_KEY='{hexadecimal}'",
    "X-Auth-Token: {token}",
    '"secretAccessKey": "{base64}",',
    "const SECRET = '{token}';",
    "--api-key={token}",
    "Bearer {token}",
    "PASSWORD\t{password}",
    "the passphrase of the backup disk was {password}",
    "user=svc;pwd={password};db=app",
    "token={token}&user=3",
    "helm upgrade app --set auth.password={password}",
    "ENV JWT_SECRET={token}",
    "ftp://deploy:{password}@files.internal/",
    "Сервисный пароль: {password}",
    "API Key (prod): {token}",
    'encryption_key = "{base64}"',
    "api-token: {hexadecimal}",
]
SECOND_HARMLESS = r"""
The nightly import writes 12,345 rows in 4m20s; the peak is 1.2GB.
---
Session 3f9a1c77 failed with ECONNRESET after 30000ms; retried with backoff=2^n*100ms
---
The repository secret is called DEPLOY_KEY_PROD_EU1 and is set by Terraform module modules/github-secrets.
---
Our OAuth token endpoint: https://auth.internal/realms/prod/protocol/openid-connect/token
---
Password rotation happens on 2027-03-01T09:00:00+01:00
---
token = jwt.encode(payload, settings.SECRET_KEY, algorithm="HS256")
---
- [ ] rotate password of user `svc-billing-reader`
---
Credentials: AWS SSO profile `mesh-prod-readonly`, role AdministratorAccess-2
---
API key format is `mk_live_` followed by 32 characters.
---
secret: name=billing-db, namespace=payments-prod, type=Opaque
---
The access token lifetime is PT15M, refresh P30D.
---
private key: stored in HSM slot 3, label=tls-2026-prod
---
Use `--token-file /run/secrets/ci_token` instead of --token
---
The secret for cookie signing lives in SSM: /prod/web/cookie-signing-secret-v3
---
password for the demo account is the usual one
---
The token count was 128000 and the cost 0.42USD.
---
Auth header: `Authorization: Bearer ${ACCESS_TOKEN}`
---
bearer tokens must be base64url-encoded-without-padding
---
env: SECRET_NAME=projects/123456789/secrets/api-key/versions/latest
---
SECRET_KEY=config("DJANGO_SECRET_KEY")
---
token: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
---
x-amz-security-token: is only needed with temporary credentials
---
The key is sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
---
Cache token etag W/"5f3b-18c2a9d7e40"
---
The continuation token is opaque: CAESBkFCQ0RFRg==
---
next_page_token: eyJsYXN0X2lkIjo0MjE3fQ
---
pagination token=MTY5ODc2NTQzMjE= means the second page
---
sync_token: "FwoGZXIvYXdzEJr//////////wEaDHqa0AP1dummy"
---
Access key for keyboards: accesskey="s" on the save button
---
Telegram bot @mesh_ops_bot posts into chat -1001234567890
---
Slack channel C02ABCDEF12, user U03GHIJKL34, thread ts 1763801234.001900
---
Stripe event evt_1QabcDEfGhIjKlMnOpQrStUv, price price_1QabcDEfGhIjKlMn
---
Git: a1b2c3d4e5f60718293a4b5c6d7e8f9012345678 fixes password reset
---
The token at position 17 is "##ing", id 2075
---
password strength: zxcvbn score >= 3
---
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
---
auth token cache: redis key auth:v2:{tenant_id}:{user_id}, TTL 300s
---
psql "host=db user=app password=$(cat /run/secrets/db)" -c 'select 1'
---
vault kv get -field=token secret/ci/registry
---
The API token is read-only-for-dashboards
---
Token 0x89205A3A3b2A69De6Dbf7f01ED13B2108B2c43e7 has 18 decimals (ERC-20)
---
token address: 0x89205A3A3b2A69De6Dbf7f01ED13B2108B2c43e7
---
Token mint: EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v is USDC on Solana
---
credential id: AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA
---
secret version 4 of projects/mesh/secrets/db-password
---
The password prompt is `Password for ops@bastion-eu-1:`
---
password=secret123 is refused by the validator
---
| token | meaning |
|:--|:--|
| TOKEN_EOF_2 | end of the file |
| IDENTIFIER_WITH_DIGITS_1 | a name |
---
| password | accepted |
|:--|:--|
| short1 | no |
| Longer-than-12 | yes |
---
url: https://user@git.internal/team/app.git
---
https://example.com:8443/@ops/status
---
rsync -av ops@host1.internal:/srv/data/ /backup/2026-11-22/
---
Contact: mailto://ops:team@mesh.internal
"""
THIRD_HARMLESS = r"""
Ran `pytest -k test_token_refresh_2` 40 times: 0 failures, 12.3s each
---
Credentials for the sandbox are in the shared vault item "sandbox-eu-2"
---
The tokens table has columns id, hash_sha256, created_at, revoked_at
---
auth-service v2.14.3 was rolled back to v2.14.1 on 2026-11-03
---
password_min_length=14 password_history_size=24
---
Passkeys replaced passwords for admins; recovery codes are printed once
---
JWKS endpoint: https://auth.internal/.well-known/jwks.json, kid=2026-11-A1b2
---
{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
---
public key: 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
---
WireGuard peer PublicKey = HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=
---
The secret name in GitHub is AZURE_CREDENTIALS_V2
---
SecretStr("**********") is what pydantic prints
---
Basic auth is enforced by nginx with /etc/nginx/htpasswd-internal
---
key_id=ABCD1234EF, team_id=XYZ9876543 for the App Store
---
sentry trace 771a43a4192642f0b136d5159a501700-9d0b5f1b2a8c4e3f-1
---
commit 5e1c309dae7f45e0f39b1bf3ac3cd9db12e7d689 (tag: auth-token-fix-3)
---
Terraform state lock ID: 2f1b6a0e-3c9d-7e54-8a11-9b0c6d5e4f32
---
nix hash: sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
---
The token bucket refills 10/s, burst=50
---
password expiry: 90d; lockout after 5 attempts/15min
---
s3://mesh-backups/2026/11/22/pg_dump_prod_0317.sql.zst
---
auth: handled by https://sso.internal/saml2/idp/SSOService.php?spentityid=mesh
---
Signal group link https://signal.group/#CjQKIJ2uRSpu3vS0Bf1sdlkjWQpoTY
---
Zoom: https://zoom.internal/j/84512345678?pwd=<in the calendar>
---
The private key of the CA never leaves the offline laptop ThinkPad-X1-7
---
token-based pricing: $3.00/1M input, $15.00/1M output
---
auth0|63f8a1b2c3d4e5f60718293a is the user id in the ticket
---
secret-0 and secret-1 are the two replicas
---
LaunchDarkly flag key: enable-passkey-login-v2
---
password: generated by `openssl rand -base64 24`
"""
