//! Who listens on a port, as far as /proc tells: other users' processes are hidden from us.

use fs_err as fs;

/// `nginx (pid 1234)`, or nothing where it cannot be found out.
pub(super) fn of_port(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    let sockets: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    processes.filter_map(Result::ok).find_map(|process| {
        let pid = process
            .file_name()
            .into_string()
            .ok()?
            .parse::<u32>()
            .ok()?;
        let holds = fs::read_dir(process.path().join("fd"))
            .ok()?
            .filter_map(Result::ok)
            .any(|fd| {
                let target = fs::read_link(fd.path()).ok();
                target.is_some_and(|target| {
                    sockets.iter().any(|socket| target.as_os_str() == &**socket)
                })
            });
        let comm = fs::read_to_string(process.path().join("comm")).ok()?;
        holds.then(|| format!("{} (pid {pid})", comm.trim().escape_default()))
    })
}

/// The inodes of the sockets that listen on the port, of one of the kernel's tables.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (_, local_port) = local.rsplit_once(':')?;
        let found = *state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port);
        found.then(|| (*inode).to_owned())
    };
    table.lines().skip(1).filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::listening;

    #[test]
    fn only_listeners_on_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1D13 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:1D13 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 20 4 30 10 -1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
";
        assert_eq!(listening(table, 7443), ["111"]);
        assert!(listening("garbage\nmore of it", 7443).is_empty());
    }
}
