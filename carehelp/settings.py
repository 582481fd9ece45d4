"""Every setting of Carehelp. What differs between deployments is read from the environment.

`.env.example` explains each variable; development needs none. `carehelp.checks` refuses to start in
production on unsafe ones.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import environ

from carehelp import __version__
from carehelp.database.config import databases
from carehelp.secrets import development_secrets

BASE_DIR = Path(__file__).resolve().parent.parent
TESTING = "PYTEST_VERSION" in os.environ

env = environ.Env()
if not TESTING:
    environ.Env.read_env(BASE_DIR / ".env")

# What this is
APP_NAME = env("APP_NAME", default="Carehelp")
VERSION = __version__
ENVIRONMENT = env("ENVIRONMENT", default="development")
PRODUCTION = ENVIRONMENT == "production"
DEBUG = env.bool("DEBUG", default=False)
PORT = env.int("PORT", default=8000)
STATE_DIR = Path(env("CAREHELP_STATE_DIR", default=str(BASE_DIR / ".carehelp")))
if TESTING:
    # Nothing of development's, nor of another worker's that tests at the same time.
    STATE_DIR = STATE_DIR / "tests" / env("PYTEST_XDIST_WORKER", default="")

# Secrets: from the environment, or made once for this checkout in development
JWT_PLACEHOLDER = "change_this_secret"
_made = {} if PRODUCTION else development_secrets(STATE_DIR)
# Never empty: carehelp.checks is to name it, with whatever else is missing.
SECRET_KEY = env("SECRET_KEY", default=_made.get("SECRET_KEY", "")) or "missing"
JWT_SECRET = env("JWT_SECRET", default=JWT_PLACEHOLDER)
if JWT_SECRET == JWT_PLACEHOLDER and _made:
    JWT_SECRET = _made["JWT_SECRET"]
JWT_PREVIOUS_SECRETS = env.list("JWT_PREVIOUS_SECRETS", default=[])
JWT_ALGORITHM = env("JWT_ALGORITHM", default="HS256")
ACCESS_TOKEN_EXPIRE_MINUTES = env.int("ACCESS_TOKEN_EXPIRE_MINUTES", default=43200)
REFRESH_TOKEN_EXPIRE_DAYS = env.int("REFRESH_TOKEN_EXPIRE_DAYS", default=180)
FIELD_ENCRYPTION_KEYS = env.list(
    "FIELD_ENCRYPTION_KEYS", default=_made.get("FIELD_ENCRYPTION_KEYS", "").split()
)

# Who may talk to us
CORS_ALLOW_ORIGINS = env.list("CORS_ALLOW_ORIGINS", default=["*"])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["*"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
NUM_PROXIES = env.int("NUM_PROXIES", default=0)
METRICS_TOKEN = env("METRICS_TOKEN", default="")

# Postgres
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=4 if TESTING else 10)
DATABASE_MAX_WAITING = env.int("DATABASE_MAX_WAITING", default=500)
# Tests bring their own Postgres, and never touch the one that the environment names.
DATABASE_URLS = {
    "default": "" if TESTING else env("DATABASE_URL", default=""),
    "desk": "" if TESTING else env("DATABASE_DESK_URL", default=""),
    "owner": "" if TESTING else env("DATABASE_OWNER_URL", default=""),
}
DATABASE_ADMIN_URL = env("DATABASE_ADMIN_URL", default="")
DATABASE_SINGLE_LOGIN = env.bool("DATABASE_SINGLE_LOGIN", default=False)
DATABASES = databases(DATABASE_URLS, STATE_DIR, DATABASE_POOL_SIZE)
DATABASE_ROUTERS = ["carehelp.database.identity.LoginRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Hints between processes; without Redis they look at the database once a second
REDIS_URL = env("REDIS_URL", default="")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "carehelp"},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

# Accounts
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "accounts.backends.GateBackend",
]
PASSWORD_HASHERS = ["accounts.passwords.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 8},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_THREADS = env.int("PASSWORD_THREADS", default=2)
CONSENT_VERSION = "2026-11"
SUPABASE_URL = env("SUPABASE_URL", default="")
SUPABASE_ANON_KEY = env("SUPABASE_ANON_KEY", default="")
SUPABASE_SERVICE_ROLE_KEY = env("SUPABASE_SERVICE_ROLE_KEY", default="")
SUPABASE_JWT_SECRET = env("SUPABASE_JWT_SECRET", default="")
SUPABASE_DB_PASSWORD = env("SUPABASE_DB_PASSWORD", default="")
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 1
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
# What the desk's form calls it. Axes would take USERNAME_FIELD, find no "email" in the form, and count
# everybody who shares an address as one.
AXES_USERNAME_FORM_FIELD = "username"
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False
AXES_IPWARE_PROXY_COUNT = NUM_PROXIES

# Triage
UNSIGNED_CONTENT = env("UNSIGNED_CONTENT", default="hide" if PRODUCTION else "label")

# AI providers
AI_PROVIDER = env("AI_PROVIDER", default="hf")
AI_CHAT = env("AI_CHAT", default=AI_PROVIDER)
AI_TRANSCRIBE = env("AI_TRANSCRIBE", default=AI_PROVIDER)
AI_DESCRIBE = env("AI_DESCRIBE", default=AI_PROVIDER)
AI_TRANSLATE = env("AI_TRANSLATE", default=AI_PROVIDER)
AI_EMBED = env("AI_EMBED", default=AI_PROVIDER)
# Per verb, a comma-separated ladder. Seconds and counts: docs/providers.md says why these.
AI_HOME_HOSTS = env.list("AI_HOME_HOSTS", default=[])
AI_CONNECT_SECONDS = env.float("AI_CONNECT_SECONDS", default=3.0)
AI_FIRST_WORD_SECONDS_ABROAD = env.float("AI_FIRST_WORD_SECONDS_ABROAD", default=15.0)
AI_FIRST_WORD_SECONDS_LOCAL = env.float("AI_FIRST_WORD_SECONDS_LOCAL", default=120.0)
AI_BETWEEN_WORDS_SECONDS = env.float("AI_BETWEEN_WORDS_SECONDS", default=10.0)
AI_TOTAL_SECONDS_ABROAD = env.float("AI_TOTAL_SECONDS_ABROAD", default=60.0)
AI_TOTAL_SECONDS_LOCAL = env.float("AI_TOTAL_SECONDS_LOCAL", default=180.0)
AI_PLACE_SECONDS = env.float("AI_PLACE_SECONDS", default=5.0)
AI_UNPROVEN_CALLS = env.int("AI_UNPROVEN_CALLS", default=32)
AI_CONCURRENCY = env.dict("AI_CONCURRENCY", default={})
AI_BREAKER_FAILURES = env.int("AI_BREAKER_FAILURES", default=5)
AI_BREAKER_SECONDS = env.float("AI_BREAKER_SECONDS", default=20.0)
AI_ANSWER_TOKENS = env.int("AI_ANSWER_TOKENS", default=700)
AI_CONTEXT_TOKENS = env.int("AI_CONTEXT_TOKENS", default=8192)
AI_PROVIDERS = {
    "hf": "ai.providers.huggingface.HuggingFace",
    "ollama": "ai.providers.ollama.Ollama",
    "lmstudio": "ai.providers.openai_style.LMStudio",
    "openai": "ai.providers.openai_style.OpenAI",
    "local": "ai.providers.local.Local",
    **env.dict("AI_PROVIDERS", default={}),
}
HF_API_TOKEN = env("HF_API_TOKEN", default="")
HF_BASE_URL = env("HF_BASE_URL", default="")
HF_ROUTER_URL = env("HF_ROUTER_URL", default="https://router.huggingface.co")
HF_TEXT_MODEL = env("HF_TEXT_MODEL", default="meta-llama/Meta-Llama-3-8B-Instruct")
HF_ASR_MODEL = env("HF_ASR_MODEL", default="openai/whisper-large-v3")
HF_VISION_MODEL = env("HF_VISION_MODEL", default="Qwen/Qwen2.5-VL-7B-Instruct")
HF_VISION_CAPTION_MODEL = env(
    "HF_VISION_CAPTION_MODEL", default="Salesforce/blip-image-captioning-large"
)
HF_TRANSLATION_MODEL = env("HF_TRANSLATION_MODEL", default="facebook/nllb-200-distilled-600M")
HF_EMBEDDING_MODEL = env("HF_EMBEDDING_MODEL", default="intfloat/multilingual-e5-small")
OLLAMA_BASE_URL = env("OLLAMA_BASE_URL", default="http://localhost:11434")
OLLAMA_MODEL = env("OLLAMA_MODEL", default="llama3.1:8b")
OLLAMA_VISION_MODEL = env("OLLAMA_VISION_MODEL", default="llava:7b")
OLLAMA_EMBEDDING_MODEL = env("OLLAMA_EMBEDDING_MODEL", default="nomic-embed-text")
OLLAMA_CONTEXT_TOKENS = env.int("OLLAMA_CONTEXT_TOKENS", default=8192)
OLLAMA_KEEP_ALIVE = env("OLLAMA_KEEP_ALIVE", default="30m")
LOCAL_WHISPER_DIR = env("LOCAL_WHISPER_DIR", default="")
LMSTUDIO_BASE_URL = env("LMSTUDIO_BASE_URL", default="http://localhost:1234/v1")
LMSTUDIO_MODEL = env("LMSTUDIO_MODEL", default="local-model")
LMSTUDIO_EMBEDDING_MODEL = env(
    "LMSTUDIO_EMBEDDING_MODEL", default="text-embedding-nomic-embed-text-v1.5"
)
OPENAI_API_KEY = env("OPENAI_API_KEY", default="")
OPENAI_BASE_URL = env("OPENAI_BASE_URL", default="https://api.openai.com/v1")
OPENAI_MODEL = env("OPENAI_MODEL", default="gpt-4o-mini")
OPENAI_ASR_MODEL = env("OPENAI_ASR_MODEL", default="gpt-4o-mini-transcribe")
OPENAI_EMBEDDING_MODEL = env("OPENAI_EMBEDDING_MODEL", default="text-embedding-3-small")

# Uploads
IMAGE_MAX_BYTES = env.int("IMAGE_MAX_BYTES", default=8 * 1024**2)
AUDIO_MAX_BYTES = env.int("AUDIO_MAX_BYTES", default=16 * 1024**2)
AUDIO_MAX_SECONDS = env.int("AUDIO_MAX_SECONDS", default=300)
DOCUMENT_MAX_BYTES = env.int("DOCUMENT_MAX_BYTES", default=10 * 1024**2)
MEDIA_PROCESSES = env.int("MEDIA_PROCESSES", default=1)

# What we know
GUIDANCE_DIR = BASE_DIR / "fixtures" / "guidance"
EMBEDDINGS = env("EMBEDDINGS", default="" if env("AI_EMBED", default="") else "local")
PATIENT_DATA_PATH = env("PATIENT_DATA_PATH", default="../patient_records.json")
CAMEROON_DATA_CSV = env(
    "CAMEROON_DATA_CSV", default=str(BASE_DIR / "fixtures" / "clinical_summaries.csv")
)

# Turns: how many are answered at once by a process, how many wait, how many are one person's, and
# after how many seconds without a sign of its process a turn counts as abandoned
TURNS_RUNNING = env.int("TURNS_RUNNING", default=64)
TURNS_WAITING = env.int("TURNS_WAITING", default=256)
TURNS_PER_USER = env.int("TURNS_PER_USER", default=4)
TURN_LEASE_SECONDS = env.float("TURN_LEASE_SECONDS", default=30.0)
# On SIGTERM: how long connections are still taken, so that a balancer can notice, and how long running
# answers get after that
DRAIN_DELAY_SECONDS = env.float("DRAIN_DELAY_SECONDS", default=5.0)
DRAIN_SECONDS = env.float("DRAIN_SECONDS", default=60.0)
MESSAGE_MAX_CHARACTERS = 4000
REQUEST_MAX_BYTES = env.int("REQUEST_MAX_BYTES", default=256 * 1024)

# Doors that take files: by path, how much of a body is read. Base64 makes three bytes four.
_IMAGE_BODY, _AUDIO_BODY = (n * 4 // 3 + 65536 for n in (IMAGE_MAX_BYTES, AUDIO_MAX_BYTES))
UPLOADS = [
    ("/api/attachments/", 1024**2 + 65536),
    ("/api/attachments", max(_IMAGE_BODY, _AUDIO_BODY)),
    ("/api/transcribe", _AUDIO_BODY),
    ("/api/analyze-image", _IMAGE_BODY),
    ("/gateway", max(_IMAGE_BODY, _AUDIO_BODY)),
    ("/admin/rag/document/upload/", DOCUMENT_MAX_BYTES + 1024**2),
]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "conversations.desk.apps.SiteConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Only `runserver` is daphne's: importing Twisted costs every other command half a second.
    *(["daphne"] if "runserver" in sys.argv else []),
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "adrf",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "axes",
    "carehelp.apps.CarehelpConfig",
    "accounts",
    "triage",
    "ai",
    "rag",
    "conversations",
    "conversations.desk",
]

MIDDLEWARE = [
    "carehelp.middleware.security_headers",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "carehelp.middleware.cors",
    "carehelp.middleware.language",
    "carehelp.middleware.problems",
    "carehelp.middleware.length",
    "accounts.middleware.identity",
    "conversations.desk.middleware.desk",
]

# Sessions, CSRF, sign-in and messages pass only the desk (conversations.desk.middleware.CHAIN), and
# axes' lock-out is shown by conversations.desk.pages: the API takes no cookies. Django's admin
# (E408 authentication, E409 messages, E410 sessions) and axes (W002) look in MIDDLEWARE only.
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410", "axes.W002"]

ROOT_URLCONF = "carehelp.urls"
ASGI_APPLICATION = "carehelp.asgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "carehelp.negotiation.Lenient",
    "EXCEPTION_HANDLER": "carehelp.problem.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "NUM_PROXIES": NUM_PROXIES,
}
SPECTACULAR_SETTINGS = {
    "TITLE": APP_NAME,
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    # Shapes are data, in conversations/doors/contract: nothing is to be guessed, or complained of.
    "POSTPROCESSING_HOOKS": ["conversations.doors.contract.lay_over"],
    "DISABLE_ERRORS_AND_WARNINGS": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Languages: French first
LANGUAGE_CODE = "fr"
LANGUAGES = [("fr", "Français"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "carehelp" / "locale"]
FORMAT_MODULE_PATH = "carehelp.formats"
TIME_ZONE = "Africa/Douala"
USE_TZ = True

# Files and cookies
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_AGE = 8 * 3600
# The API never sees the desk's cookies.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LANGUAGE_COOKIE_PATH = "/admin"
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 86400
CSRF_FAILURE_VIEW = "conversations.desk.pages.csrf_failure"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if NUM_PROXIES else None
SECURE_HSTS_SECONDS = 31536000 if PRODUCTION else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = REQUEST_MAX_BYTES

# The clinicians' desk
UNFOLD = {
    "SITE_TITLE": APP_NAME,
    "SITE_HEADER": APP_NAME,
    "SITE_SYMBOL": "health_and_safety",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "conversations.desk.sidebar.icon"}
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": ["conversations.desk.sidebar.stylesheet"],
    "ACCOUNT": {"navigation": "conversations.desk.sidebar.account"},
    "SIDEBAR": {"navigation": "conversations.desk.sidebar.navigation"},
    "COLORS": {
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(70.4% .14 182.503)",
            "600": "oklch(51.1% .096 186.391)",
            "700": "oklch(43.7% .078 188.216)",
            "800": "oklch(38.6% .063 188.416)",
            "900": "oklch(32% .05 188.5)",
            "950": "oklch(27.7% .046 192.524)",
        },
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
}
