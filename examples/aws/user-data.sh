#!/bin/sh
# What an instance runs first. The words in double braces are Usher's; the image brings Janus and usher-agent
# (examples/agent has its unit), both enabled and not started.
set -eu
umask 077

mkdir -p /etc/usher
cat > /etc/usher/usher-agent.env <<'USHER'
USHER_URL={{url}}
USHER_SERVER={{server}}
USHER_TOKEN={{token}}
USHER_AGENT_TOKEN_FILE=/var/lib/usher-agent/token
USHER_AGENT_MEDIA=janus
USHER_AGENT_JANUS_ADMIN_SECRET=file:/etc/janus/admin-secret
# What of a Janus room is Usher's: our app servers give rooms numbers, and the name as description. `room` where it is the id.
USHER_AGENT_JANUS_ROOM_FROM=description
USHER_AGENT_SPOT_NOTICES=true
#USHER_CA_FILE=/usr/local/share/usher/ca.pem
USHER

# The name that clients are told, {{server}}.media.example.com, has to lead here before the first report: see README.md.
/usr/local/bin/register-name "{{server}}"

systemctl start janus.service
systemctl start usher-agent.service
