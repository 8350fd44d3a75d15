# The client in a container. It is built of the package:
#   ./dev package && docker build -t firezone -f Dockerfile build/package
# It takes NET_ADMIN, /dev/net/tun and a token; its state is the volume:
#   docker run -d --name firezone --cap-add NET_ADMIN --device /dev/net/tun -e FIREZONE_TOKEN -v firezone:/var/lib/firezone firezone
#   docker exec firezone firezonectl status
FROM debian:12-slim

COPY firezone-cli_*.deb /tmp/
RUN apt-get update && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends systemd-standalone-sysusers /tmp/firezone-cli_*.deb && \
	rm -rf /tmp/*.deb /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log && \
	install -d -m 0700 /var/lib/firezone

# The device's id among others: with a new one the portal sees a new device.
VOLUME /var/lib/firezone
HEALTHCHECK CMD ["firezonectl", "health"]
ENTRYPOINT ["/usr/sbin/firezoned"]
