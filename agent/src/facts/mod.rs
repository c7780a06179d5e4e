//! What the host is: read from the kernel, a few files, and what answers. Never through NSS.

mod parse;

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use foundry_host::Host;
use foundry_host::containers::{RuntimeInfo, RuntimeKind};
use foundry_proto::agent::v1::{Disk, Facts, Runtime, runtime::Kind};
use futures_util::future::join3;
use tokio::time::timeout;

use crate::ledger::millis;

/// How long the service manager, the container runtimes and the package manager may take to answer. One that does not is
/// left out.
const PATIENCE: Duration = Duration::from_secs(5);

/// Folders whose file systems matter.
const FOLDERS: [&str; 4] = ["/", "/var", "/var/lib", "/opt"];

/// Reads everything anew.
pub async fn gather(host: &Host) -> Facts {
    let (systemd, runtimes, packages) = join3(
        timeout(PATIENCE, host.systemd.version()),
        timeout(PATIENCE, host.runtimes.installed()),
        timeout(PATIENCE, host.packages.manager()),
    )
    .await;
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let os = parse::os_release(&read("/etc/os-release"));
    let wall = host
        .clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Facts {
        hostname: text(uname.nodename()),
        architecture: text(uname.machine()),
        kernel: text(uname.release()),
        os_id: os.id,
        os_version: os.version,
        os_name: os.name,
        systemd_version: systemd.ok().and_then(Result::ok).unwrap_or_default(),
        runtimes: runtimes.unwrap_or_default().iter().map(runtime).collect(),
        cpus: std::thread::available_parallelism()
            .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        memory_bytes: memory(),
        disks: disks(),
        addresses: addresses(),
        package_manager: packages.ok().flatten().unwrap_or_default().to_owned(),
        clock_ms: millis(wall),
        uid: rustix::process::geteuid().as_raw(),
    }
}

/// Memory of this process that is resident, in bytes.
pub fn resident_bytes() -> u64 {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    parse::resident_pages(&read("/proc/self/statm")) * page
}

/// The kernel's id of this boot; empty where it cannot be read.
pub fn boot_id() -> String {
    read("/proc/sys/kernel/random/boot_id").trim().to_owned()
}

fn runtime(info: &RuntimeInfo) -> Runtime {
    let kind = match info.kind {
        RuntimeKind::Docker => Kind::Docker,
        RuntimeKind::Podman => Kind::Podman,
    };
    Runtime {
        kind: kind.into(),
        version: info.version.clone(),
        api_version: info.api_version.clone(),
        cli: info
            .cli
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        answers: info.trouble.is_none(),
    }
}

fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    #[allow(
        clippy::useless_conversion,
        reason = "the field's width is that of the target's word"
    )]
    let total = u64::from(info.totalram);
    total.saturating_mul(u64::from(info.mem_unit))
}

/// One line per file system, under the first folder that lies on it.
fn disks() -> Vec<Disk> {
    let mut seen = BTreeSet::new();
    FOLDERS
        .iter()
        .filter_map(|path| {
            Some((
                path,
                rustix::fs::statvfs(*path).ok()?,
                rustix::fs::stat(*path).ok()?,
            ))
        })
        .filter(|(_, _, stat)| seen.insert(stat.st_dev))
        .map(|(path, space, _)| Disk {
            path: (*path).to_owned(),
            total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        })
        .collect()
}

/// The addresses of all interfaces, sorted, without loopback and link-local ones.
fn addresses() -> Vec<String> {
    let v4 = parse::local_v4(&read("/proc/net/fib_trie"));
    let v6 = parse::local_v6(&read("/proc/net/if_inet6"));
    v4.into_iter()
        .map(|a| a.to_string())
        .chain(v6.into_iter().map(|a| a.to_string()))
        .collect()
}

/// A small file of the system's; one that is not there reads as empty.
fn read(path: &str) -> String {
    fs_err::read_to_string(path).unwrap_or_default()
}
