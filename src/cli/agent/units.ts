/** A file that `vouch agent install` writes. */
export interface InstalledFile {
	/** Absolute, below the root that is installed into. */
	readonly path: string;
	readonly text: string;
}

export interface Installation {
	/** How the unit starts the program, absolute. */
	readonly program: string;
	readonly user: string;
	readonly config: string;
}

export const HELPER_PATH = "/usr/local/lib/vouch/vouch-helper";
const HELPER_SOCKET = "/run/vouch-helper.sock";

/** The service of an unprivileged user, the helper that listens for it alone, and the user. */
export function unitsOf({ program, user, config }: Installation): readonly InstalledFile[] {
	return [
		{ path: "/etc/sysusers.d/vouch-agent.conf", text: `u ${user} - "Vouch agent" /var/lib/vouch-agent\n` },
		{ path: "/etc/systemd/system/vouch-agent.service", text: agentService(program, user, config) },
		{ path: "/etc/systemd/system/vouch-helper.socket", text: helperSocket(user) },
		{ path: "/etc/systemd/system/vouch-helper@.service", text: helperService(user) },
	];
}

/**
 * What would keep sandboxes from being made is left out, each for its reason: a new /proc can't be mounted where parts of the old one
 * are covered (ProtectKernelTunables, ProtectKernelLogs, ProtectProc), namespaces are what a sandbox is (RestrictNamespaces), limits
 * are control groups (ProtectControlGroups), and Node.js compiles what it runs (MemoryDenyWriteExecute).
 */
function agentService(program: string, user: string, config: string): string {
	return `[Unit]
Description=Vouch agent: runs leased directives in sandboxes
Documentation=https://vouch.dev/docs/guides/fleet
Wants=network-online.target vouch-helper.socket
After=network-online.target vouch-helper.socket

[Service]
ExecStart=${program} agent --config ${config}
User=${user}
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=90
Environment=XDG_DATA_HOME=/var/lib/vouch-agent XDG_CACHE_HOME=/var/cache/vouch-agent XDG_RUNTIME_DIR=/run/vouch-agent
StateDirectory=vouch-agent
StateDirectoryMode=0700
CacheDirectory=vouch-agent
CacheDirectoryMode=0700
RuntimeDirectory=vouch-agent
RuntimeDirectoryMode=0700
# The service's part of the control groups is its own; the node moves into a leaf of it.
Delegate=cpu memory pids
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectClock=yes
ProtectKernelModules=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
DevicePolicy=closed
DeviceAllow=/dev/kvm rw

[Install]
WantedBy=multi-user.target
`;
}

function helperSocket(user: string): string {
	return `[Unit]
Description=Vouch helper: what the agent needs root for

[Socket]
ListenStream=${HELPER_SOCKET}
SocketUser=${user}
SocketMode=0600
Accept=yes
MaxConnections=8

[Install]
WantedBy=sockets.target
`;
}

function helperService(user: string): string {
	return `[Unit]
Description=Vouch helper: one call
CollectMode=inactive-or-failed

[Service]
ExecStart=${HELPER_PATH} --allow ${user} --audit /var/log/vouch-helper/audit.jsonl
StandardInput=socket
StandardOutput=journal
StandardError=journal
RuntimeMaxSec=30
LogsDirectory=vouch-helper
LogsDirectoryMode=0700
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE
ProtectSystem=strict
ReadWritePaths=/sys/fs/cgroup
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
ProtectClock=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX
`;
}
