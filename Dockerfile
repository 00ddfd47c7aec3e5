# Builds with Python at hand for ONNX Runtime's wheel (build.rs); the result carries all that it needs.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-pip && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Carrel" \
      org.opencontainers.image.description="Private knowledge bases with agents, in one binary" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 65532 --no-create-home carrel && install --directory --owner carrel --mode 0700 /data
COPY --from=build /source/target/release/carrel /usr/local/bin/carrel
USER carrel
ENV CARREL_DATA=/data CARREL_LISTEN=0.0.0.0:8000 CARREL_MODELS=/models CARREL_LOG_FORMAT=json
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["carrel", "healthcheck"]
ENTRYPOINT ["carrel"]
CMD ["serve"]
