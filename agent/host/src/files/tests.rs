use std::os::unix::fs::{PermissionsExt, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use foundry_proto::Digest;

use super::{Attributes, Content, FileKind, Files, FilesError, HostFiles, Ids};

struct Root {
    folder: tempfile::TempDir,
    files: HostFiles,
}

impl Root {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        Self {
            files: HostFiles::beneath(root),
            folder,
        }
    }

    fn real(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }
}

/// Ours, so that the tests run as anyone.
fn mine(mode: u32) -> Attributes {
    let ids = Ids {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    };
    Attributes { mode, ids }
}

fn bytes(text: &str) -> Content {
    Content::Bytes(text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_file_is_replaced_whole_with_its_mode() {
    let root = Root::new();
    let path = Utf8Path::new("/etc/foundry/a.conf");
    root.files
        .write(path, bytes("one"), mine(0o640))
        .await
        .unwrap();
    root.files
        .write(path, bytes("two"), mine(0o600))
        .await
        .unwrap();
    assert_eq!(root.files.read(path, 10).await.unwrap().unwrap(), b"two");
    assert_eq!(
        root.files.digest(path).await.unwrap().unwrap(),
        Digest::of(b"two")
    );
    let stat = root.files.stat(path).await.unwrap().unwrap();
    assert_eq!(
        (stat.kind, stat.attributes, stat.size),
        (FileKind::File, mine(0o600), 3)
    );
    let parent = root
        .files
        .stat(Utf8Path::new("/etc/foundry"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(parent.attributes.mode, 0o755);
    let names = root
        .files
        .list(Utf8Path::new("/etc/foundry"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(names, ["a.conf"], "no temporary file stays");
}

#[tokio::test]
async fn the_leftover_of_a_cut_off_write_is_no_obstacle() {
    let root = Root::new();
    fs_err::write(root.real("/.a.foundry-new"), "half").unwrap();
    root.files
        .write(Utf8Path::new("/a"), bytes("whole"), mine(0o644))
        .await
        .unwrap();
    assert_eq!(fs_err::read_to_string(root.real("/a")).unwrap(), "whole");
    assert!(!root.real("/.a.foundry-new").exists());
}

#[tokio::test]
async fn nothing_there_is_no_error() {
    let root = Root::new();
    let path = Utf8Path::new("/no/such/file");
    assert_eq!(root.files.stat(path).await.unwrap(), None);
    assert_eq!(root.files.read(path, 1).await.unwrap(), None);
    assert_eq!(root.files.digest(path).await.unwrap(), None);
    assert_eq!(root.files.list(path).await.unwrap(), None);
    assert!(!root.files.remove_file(path).await.unwrap());
    assert!(!root.files.remove_tree(path).await.unwrap());
    assert!(root.files.remove_directory(path).await.unwrap());
}

#[tokio::test]
async fn a_folder_that_others_can_write_is_refused() {
    let root = Root::new();
    fs_err::create_dir(root.real("/open")).unwrap();
    fs_err::set_permissions(root.real("/open"), PermissionsExt::from_mode(0o777)).unwrap();
    let error = root
        .files
        .write(Utf8Path::new("/open/a"), bytes(""), mine(0o600))
        .await;
    assert!(matches!(error, Err(FilesError::Unsafe { .. })), "{error:?}");
    fs_err::set_permissions(root.real("/open"), PermissionsExt::from_mode(0o1777)).unwrap();
    root.files
        .write(Utf8Path::new("/open/a"), bytes(""), mine(0o600))
        .await
        .unwrap();
}

#[tokio::test]
async fn links_of_ours_are_followed_within_the_root() {
    let root = Root::new();
    fs_err::create_dir_all(root.real("/data/big")).unwrap();
    fs_err::create_dir_all(root.real("/var/lib")).unwrap();
    symlink("/data/big", root.real("/var/lib/zot")).unwrap();
    symlink("../lib/zot/config", root.real("/var/lib/link")).unwrap();
    root.files
        .write(Utf8Path::new("/var/lib/link"), bytes("x"), mine(0o600))
        .await
        .unwrap();
    assert_eq!(
        fs_err::read_to_string(root.real("/data/big/config")).unwrap(),
        "x"
    );
    let stat = root
        .files
        .stat(Utf8Path::new("/var/lib/zot"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stat.kind, FileKind::Directory);
    symlink("loop", root.real("/loop")).unwrap();
    assert!(root.files.stat(Utf8Path::new("/loop")).await.is_err());
    assert!(
        root.files
            .remove_file(Utf8Path::new("/var/lib/zot"))
            .await
            .unwrap(),
        "the link"
    );
    assert!(
        root.real("/data/big/config").exists(),
        "and not what it leads to"
    );
}

#[tokio::test]
async fn links_of_others_are_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = Root::new();
    fs_err::write(root.real("/secret"), "s").unwrap();
    symlink("/secret", root.real("/bait")).unwrap();
    std::os::unix::fs::lchown(root.real("/bait"), Some(12345), Some(12345)).unwrap();
    let error = root.files.read(Utf8Path::new("/bait"), 10).await;
    assert!(matches!(error, Err(FilesError::Unsafe { .. })), "{error:?}");
    fs_err::create_dir(root.real("/home")).unwrap();
    std::os::unix::fs::chown(root.real("/home"), Some(12345), Some(12345)).unwrap();
    let error = root
        .files
        .write(Utf8Path::new("/home/a"), bytes(""), mine(0o600))
        .await;
    assert!(matches!(error, Err(FilesError::Unsafe { .. })), "{error:?}");
}

#[tokio::test]
async fn paths_that_climb_are_refused() {
    let root = Root::new();
    for path in ["relative", "/a/../../etc/shadow", "/a\0b", ""] {
        let error = root.files.stat(Utf8Path::new(path)).await;
        assert!(
            matches!(error, Err(FilesError::NotPlain(_))),
            "{path}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_folder_is_made_once_and_then_left_as_it_is() {
    let root = Root::new();
    let path = Utf8Path::new("/var/lib/data");
    assert!(root.files.make_directory(path, mine(0o700)).await.unwrap());
    assert!(!root.files.make_directory(path, mine(0o755)).await.unwrap());
    assert_eq!(
        root.files
            .stat(path)
            .await
            .unwrap()
            .unwrap()
            .attributes
            .mode,
        0o700
    );
    root.files.set_attributes(path, mine(0o750)).await.unwrap();
    assert_eq!(
        root.files
            .stat(path)
            .await
            .unwrap()
            .unwrap()
            .attributes
            .mode,
        0o750
    );
    root.files
        .write(&path.join("a"), bytes(""), mine(0o600))
        .await
        .unwrap();
    let error = root.files.write(path, bytes(""), mine(0o600)).await;
    assert!(matches!(error, Err(FilesError::Kind { .. })), "{error:?}");
    assert!(
        !root.files.remove_directory(path).await.unwrap(),
        "it is not empty"
    );
}

#[tokio::test]
async fn a_tree_goes_without_what_its_links_lead_to() {
    let root = Root::new();
    fs_err::create_dir_all(root.real("/tree/a/b")).unwrap();
    fs_err::write(root.real("/tree/a/b/c"), "c").unwrap();
    fs_err::create_dir_all(root.real("/kept")).unwrap();
    fs_err::write(root.real("/kept/k"), "k").unwrap();
    symlink("/kept", root.real("/tree/link")).unwrap();
    symlink(root.real("/kept"), root.real("/tree/a/link")).unwrap();
    assert!(
        root.files
            .remove_tree(Utf8Path::new("/tree"))
            .await
            .unwrap()
    );
    assert!(!root.real("/tree").exists());
    assert!(root.real("/kept/k").exists());
}

#[tokio::test]
async fn more_than_the_limit_is_not_read() {
    let root = Root::new();
    fs_err::write(root.real("/long"), "0123456789").unwrap();
    assert!(
        root.files
            .read(Utf8Path::new("/long"), 10)
            .await
            .unwrap()
            .is_some()
    );
    let error = root.files.read(Utf8Path::new("/long"), 9).await;
    assert!(
        matches!(error, Err(FilesError::TooLong { .. })),
        "{error:?}"
    );
}
