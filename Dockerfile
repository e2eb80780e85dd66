# An image of the program alone. To make it, in this folder:
#
#     docker build -t webhook-repeater .
#
# To run it with a configuration, or without one:
#
#     docker run -p 8100:8100 -v webhooks:/data -v ./config.ini:/etc/webhook-repeater/config.ini:ro --stop-timeout 30 webhook-repeater
#     docker run -p 8100:8100 -v webhooks:/data --stop-timeout 30 webhook-repeater --to http://jira.intranet:8080
#
# Requests wait in /data, which has to outlive the container. The user is 65532: a config.ini that
# holds secrets should be readable for it alone. The admin pages listen inside the container only, unless
# config.ini says "listen = 0.0.0.0:8101" and has a token.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which the version is taken.
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/ ./cmd/webhook-repeater
RUN mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/webhook-repeater /usr/local/bin/
COPY --from=build --chown=65532:65532 /data /data
ENV PATH=/usr/local/bin TMPDIR=/data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8100 8101
ENTRYPOINT ["webhook-repeater"]
CMD ["-c", "/etc/webhook-repeater/config.ini"]
