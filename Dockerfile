# The steps are in deploy/build.sh, which the checks run as well.
#
#   docker build --build-arg GO_IMAGE=golang:1.26-bookworm@sha256:… --build-arg VERSION=v1.2.3 .
#
# GO_IMAGE has no default: a tag may mean another image tomorrow, so it is named by the
# digest that you have looked at (docker buildx imagetools inspect golang:1.26-bookworm).
# The other base is empty.
ARG GO_IMAGE
FROM ${GO_IMAGE} AS build
ARG GO_IMAGE
RUN case "$GO_IMAGE" in *@sha256:*) ;; *) echo "GO_IMAGE: name the image by its digest, as golang:1.26-bookworm@sha256:…" >&2; exit 1 ;; esac
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download && go mod verify
COPY . .
ARG VERSION=unversioned
RUN deploy/build.sh /out "$VERSION"

FROM scratch
COPY --from=build /out/etc /etc
COPY --from=build --chmod=1777 /out/tmp /tmp
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/bot /bot
USER 65532:65532
ENV DATA_DIR=/data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=2m --retries=4 CMD ["/bot", "healthcheck"]
ENTRYPOINT ["/bot"]
