#!/bin/sh
# What an instance runs first, as root. The words in double braces are Usher's. The image brings Janus, usher-agent, media-name.service and
# what these start, all of them disabled (README.md).
set -eu
umask 077

# Settings
ZONE=Z0123456789ABCDEFGHIJ      # the hosted zone of DOMAIN
DOMAIN=media.example.com        # as in the pool's url: wss://{server}.media.example.com:8989/janus
SECRET=media-certificate        # in Secrets Manager: the key and the chain of *.media.example.com

mkdir -p /etc/usher
cat > /etc/usher/media-name.env <<USHER
AWS_DEFAULT_REGION={{region}}
NAME={{server}}.$DOMAIN
ZONE=$ZONE
SECRET=$SECRET
USHER
cat > /etc/usher/usher-agent.env <<'USHER'
USHER_URL={{url}}
USHER_SERVER={{server}}
USHER_TOKEN={{token}}
USHER_AGENT_TOKEN_FILE=/var/lib/usher-agent/token
USHER_AGENT_MEDIA=janus
USHER_AGENT_JANUS_ADMIN_SECRET=file:${CREDENTIALS_DIRECTORY}/janus-admin-secret
USHER_AGENT_JANUS_ROOM_FROM=description
USHER_AGENT_SPOT_NOTICES=true
# EC2 gives a shutdown a few minutes, and after the agent the name has to go, too.
USHER_AGENT_DRAIN_SECONDS=60
#USHER_CA_FILE=/usr/local/share/usher/ca.pem
USHER

# The agent's user may not read root's files: systemd hands it the secret.
mkdir -p /etc/systemd/system/usher-agent.service.d /etc/systemd/system/janus.service.d
cat > /etc/systemd/system/usher-agent.service.d/janus.conf <<'UNIT'
[Service]
LoadCredential=janus-admin-secret:/etc/janus/admin-secret
UNIT
# An instance sees its private address only: Janus is told the public one, which it offers to clients.
cat > /etc/systemd/system/janus.service.d/address.conf <<'UNIT'
[Service]
EnvironmentFile=/run/media-name/address
ExecStart=
ExecStart=/usr/bin/janus --disable-colors --daemon --log-stdout --nat-1-1=${ADDRESS}
UNIT
systemctl daemon-reload

# The certificate and the name that clients are told come before the first report.
systemctl enable --now media-name.service
systemctl enable --now janus.service
systemctl enable --now usher-agent.service
