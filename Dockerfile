# Nobody has built this image yet: it states the same steps as `make study`, no more.
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends make git && rm -rf /var/lib/apt/lists/*
WORKDIR /study
COPY . .
RUN make environment
ENV PATH=/study/.venv/bin:$PATH
CMD ["make", "study"]
