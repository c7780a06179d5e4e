//! Who holds a package manager's lock.

use rustix::fs::{Mode, OFlags};

/// The process that holds one of these files locked, as `name (pid 812)`.
pub(super) async fn holder(files: &'static [&'static str]) -> String {
    let found = tokio::task::spawn_blocking(move || files.iter().find_map(|file| holder_of(file)));
    found
        .await
        .ok()
        .flatten()
        .unwrap_or_else(|| "another process".to_owned())
}

/// By the kernel's answer, else by the pid that the file names.
fn holder_of(file: &str) -> Option<String> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(file, flags, Mode::empty()).ok()?;
    let inode = rustix::fs::fstat(&fd).ok()?.st_ino;
    let locks = fs_err::read_to_string("/proc/locks").unwrap_or_default();
    let pid = pid_of_lock(&locks, inode).or_else(|| {
        fs_err::read_to_string(file)
            .ok()?
            .split_ascii_whitespace()
            .next()?
            .parse()
            .ok()
    })?;
    let name = fs_err::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("{} (pid {pid})", name.trim()))
}

/// `1: POSIX  ADVISORY  WRITE 812 fe:00:1234 0 EOF`: the fifth field is the process, the sixth ends with the inode.
fn pid_of_lock(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, number) = fields.get(5)?.rsplit_once(':')?;
        (number.parse() == Ok(inode))
            .then(|| fields.get(4)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::pid_of_lock;

    #[test]
    fn a_lock_names_its_process() {
        let locks = "1: POSIX  ADVISORY  WRITE 812 fe:00:1234 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 9 fe:00:12345 0 EOF\n";
        assert_eq!(pid_of_lock(locks, 1234), Some(812));
        assert_eq!(pid_of_lock(locks, 12345), Some(9));
        assert_eq!(pid_of_lock(locks, 123), None);
    }
}
