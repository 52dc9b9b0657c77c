# syntax=docker/dockerfile:1
# check=error=true

# An image for each binary: docker build --target api --tag localhost/farmlokal-api:dev .
# Each architecture is built on a machine of its own: nothing here is cross-compiled.

# The software bill of materials lists the crates too: from Cargo.lock.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true

# Images are named where Dependabot looks for them, in FROM; each digest is that of the index of all architectures.
FROM rust:1.95.0-slim-trixie@sha256:e14e87345b4d5964ddcc3491d27ee046a0f23820f340c3c1e24da6880141f7c0 AS build
ARG TARGETARCH
# Or dev, which compiles a change in seconds.
ARG PROFILE=release
WORKDIR /src
# One cargo for all images, so that BuildKit runs it once for builds that go on side by side. Crates and what was compiled stay
# in caches between builds. The source is mounted whole rather than copied folder by folder: cargo goes by modification times,
# and a cached layer would bring old ones back.
RUN --mount=type=bind,target=. \
    --mount=type=cache,id=farmlokal-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=farmlokal-target-${TARGETARCH}-${PROFILE},target=/target \
    cargo build --locked --profile "${PROFILE}" --target-dir /target --bins \
        --package farmlokal-api --package farmlokal-controller --package farmlokal-seed --package farmlokal-sandbox \
    && mkdir /out \
    && for binary in api controller seed sandbox; do \
        objcopy --strip-debug "$(echo /target/*/farmlokal-${binary})" "/out/farmlokal-${binary}" || exit 1; \
    done

# The C library, CA certificates and time zones; no shell, no package manager. Of the same Debian as the builder: its C library
# must not be older.
FROM gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97 AS base
USER 65532:65532
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="FarmLokal" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.source="https://github.com/farmlokal/farmlokal" \
    org.opencontainers.image.documentation="https://github.com/farmlokal/farmlokal/tree/main/docs" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

FROM base AS controller
LABEL org.opencontainers.image.title="farmlokal-controller" \
    org.opencontainers.image.description="Flushes the cache when a ProductCatalog asks for it"
COPY --from=build /out/farmlokal-controller /farmlokal-controller
EXPOSE 9090
ENTRYPOINT ["/farmlokal-controller"]

FROM base AS seed
LABEL org.opencontainers.image.title="farmlokal-seed" \
    org.opencontainers.image.description="Seeds the catalogue with realistic, reproducible products"
COPY --from=build /out/farmlokal-seed /farmlokal-seed
# Its metrics, while it runs, where MANAGEMENT_PORT is set.
EXPOSE 9090
ENTRYPOINT ["/farmlokal-seed"]

FROM base AS sandbox
LABEL org.opencontainers.image.title="farmlokal-sandbox" \
    org.opencontainers.image.description="FarmLokal's partners, simulated, for development and tests"
COPY --from=build /out/farmlokal-sandbox /farmlokal-sandbox
EXPOSE 5100
ENTRYPOINT ["/farmlokal-sandbox"]

# The last one is what a build without --target makes.
FROM base AS api
LABEL org.opencontainers.image.title="farmlokal-api" \
    org.opencontainers.image.description="The REST API of the FarmLokal product catalogue"
COPY --from=build /out/farmlokal-api /farmlokal-api
EXPOSE 5000 9090
ENTRYPOINT ["/farmlokal-api"]
