import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";

export type GuestArchitecture = "amd64" | "riscv64";

export interface GuestKernel {
	readonly image: string;
	/** Uncompressed, in the order in which they are loaded. */
	readonly modules: readonly string[];
}

const MODULES = [
	"virtio_mmio",
	"virtio_pci",
	"virtio_blk",
	"virtio_console",
	"virtio_rng",
	"squashfs",
	"erofs",
	"dm_verity",
];
const MORE_MODULES = ["overlay", "vsock", "vmw_vsock_virtio_transport"];

/** Debian's kernel for virtual machines, from wherever this machine's packages come from. */
export function guestKernel(architecture: GuestArchitecture, cache: string): GuestKernel {
	const folder = join(cache, `kernel-${architecture}`);
	if (!existsSync(folder)) {
		const fresh = `${folder}.${process.pid}`;
		mkdirSync(fresh, { recursive: true });
		run("sh", ["-c", FETCH, "sh", architecture], fresh);
		renameSync(fresh, folder);
	}
	const names = readFileSync(join(folder, "order"), "utf8").trim().split("\n");
	return { image: join(folder, "kernel"), modules: names.map((name) => join(folder, "modules", name)) };
}

function run(program: string, args: readonly string[], cwd: string): void {
	const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C" };
	execFileSync(program, args, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"] });
}

/** A package state of its own for another suite and architecture, with the archive that this machine has set up. */
const FETCH = `set -e
architecture=$1
if [ $architecture = amd64 ]; then
	package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-[0-9]/{print $2; exit}')
	apt-get download -q "$package"
else
	mkdir -p state/lists/partial cache/archives/partial
	: > status
	base=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources)
	echo "deb [arch=$architecture signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $base trixie main" > sources
	foreign() {
		apt-get -q -o Dir::State="$PWD/state" -o Dir::State::status="$PWD/status" -o Dir::Cache="$PWD/cache" \\
			-o Dir::Etc::SourceList="$PWD/sources" -o Dir::Etc::SourceParts=- -o Dir::Etc::PreferencesParts=- \\
			-o APT::Architecture=$architecture -o APT::Architectures=$architecture "$@"
	}
	foreign update
	package=$(foreign -s install linux-image-$architecture | awk '/^Inst linux-image-[0-9]/{print $2; exit}')
	foreign download "$package"
fi
dpkg -x "$package"*.deb tree
release=$(basename "$(echo tree/lib/modules/* tree/usr/lib/modules/* | tr ' ' '\\n' | grep -v '\\*' | head -n 1)")
[ -d tree/lib ] || ln -s usr/lib tree/lib
depmod -b tree "$release"
mv tree/boot/vmlinu* kernel
mkdir modules
for name in ${[...MODULES, ...MORE_MODULES].join(" ")}; do modprobe -d tree -S "$release" --show-depends $name; done |
	awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r path; do
		name=$(basename "\${path%.xz}")
		case $path in *.xz) xz -dc "$path" > "modules/$name" ;; *) cp "$path" "modules/$name" ;; esac
		echo "$name" >> order
	done
rm -rf tree state cache status sources *.deb
`;
