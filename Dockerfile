FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 HOST=0.0.0.0 CAREHELP_STATE_DIR=/state CAREHELP_IN_CONTAINER=1

RUN useradd --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin carehelp \
    && install -d -o carehelp -m 0755 /state

WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
RUN python -m compileall -q .

USER carehelp
EXPOSE 8000
HEALTHCHECK --start-period=90s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 8000)}/health/live', timeout=4)"]
# Without DATABASE_URL this starts the embedded Postgres, and warns that its data go with the container.
CMD ["python", "manage.py", "start"]
