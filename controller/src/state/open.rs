//! Finding the fleets that have state here.

use camino::Utf8Path;
use foundry_proto::FleetId;

use super::error::StateError;
use super::guard;
use super::paths::Paths;

/// The places of a fleet that has state here and keeps it to itself. A fleet without state here is an error whose hints
/// name the ways out: nothing is ever made in its place.
pub fn open_fleet(home: &Utf8Path, fleet: &FleetId) -> Result<Paths, StateError> {
    let paths = Paths::new(home, fleet);
    if !paths.ca_dir().is_dir() {
        let known = list_fleets(home)?;
        return Err(StateError::NoState {
            fleet: fleet.clone(),
            home: home.to_owned(),
            known,
        });
    }
    guard::refuse_open_parents(paths.dir())?;
    guard::refuse_open(paths.dir())?;
    Ok(paths)
}

/// The fleets with state under this home, sorted.
pub fn list_fleets(home: &Utf8Path) -> Result<Vec<FleetId>, StateError> {
    let fleets = Paths::fleets(home);
    if !fleets.exists() {
        return Ok(Vec::new());
    }
    let entries = fs_err::read_dir(&fleets).map_err(StateError::io("list the fleets"))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<FleetId> = names
        .filter_map(|name| name.parse().ok())
        .filter(|fleet| Paths::new(home, fleet).ca_dir().is_dir())
        .collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use camino::{Utf8Path, Utf8PathBuf};
    use tempfile::TempDir;

    use super::{list_fleets, open_fleet};
    use crate::state::{Authorities, FleetLock, Paths, StateError, create_fleet};

    fn home() -> (TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let home = Utf8Path::from_path(folder.path()).unwrap().join("home");
        (folder, home)
    }

    fn mode(path: &Utf8Path) -> u32 {
        fs_err::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_fleet_is_made_whole_and_for_its_owner_alone() {
        let (_folder, home) = home();
        let fleet = create_fleet(&home, "Production").unwrap();
        assert!(fleet.as_str().starts_with("production-"));
        let paths = open_fleet(&home, &fleet).unwrap();
        assert_eq!(mode(paths.dir()), 0o700);
        assert_eq!(mode(&paths.ca_dir()), 0o700);
        for entry in fs_err::read_dir(paths.ca_dir()).unwrap() {
            let path = Utf8PathBuf::from_path_buf(entry.unwrap().path()).unwrap();
            assert_eq!(mode(&path), 0o600, "{path}");
        }
        Authorities::load(&paths).unwrap();
        assert_eq!(Authorities::seal_key(&paths).unwrap().len(), 32);
        // Nothing of its making is left.
        assert_eq!(fs_err::read_dir(Paths::fleets(&home)).unwrap().count(), 1);
    }

    #[test]
    fn fleets_are_listed_and_a_strange_one_names_the_ways_out() {
        let (_folder, home) = home();
        assert_eq!(list_fleets(&home).unwrap(), []);
        let mut made = vec![
            create_fleet(&home, "b").unwrap(),
            create_fleet(&home, "a").unwrap(),
        ];
        made.sort();
        fs_err::create_dir_all(Paths::fleets(&home).join("half-made")).unwrap();
        assert_eq!(list_fleets(&home).unwrap(), made);
        let refused = open_fleet(&home, &"half-made".parse().unwrap()).unwrap_err();
        let StateError::NoState { known, .. } = &refused else {
            panic!("{refused}")
        };
        assert_eq!(*known, made);
        let hints = refused.hints().join("\n");
        for way in [
            "controller.at",
            "restore it",
            "--take-over",
            made[0].as_str(),
        ] {
            assert!(hints.contains(way), "{hints}");
        }
    }

    #[test]
    fn a_place_that_others_can_write_to_is_refused() {
        let (folder, home) = home();
        let open = |mode| std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(folder.path(), open(0o777)).unwrap();
        let refused = create_fleet(&home, "test").unwrap_err();
        assert!(
            matches!(refused, StateError::Writable { mode: 0o777, .. }),
            "{refused}"
        );
        assert_eq!(fs_err::read_dir(Paths::fleets(&home)).unwrap().count(), 0);
        // A sticky folder is as safe as /tmp.
        fs_err::set_permissions(folder.path(), open(0o1777)).unwrap();
        let fleet = create_fleet(&home, "test").unwrap();
        let paths = Paths::new(&home, &fleet);
        fs_err::set_permissions(paths.dir(), open(0o770)).unwrap();
        let refused = open_fleet(&home, &fleet).unwrap_err();
        assert!(refused.hints()[0].contains("chmod go-w"), "{refused}");
    }

    #[test]
    fn one_controller_holds_a_fleet_and_the_next_is_told_who() {
        let (_folder, home) = home();
        let fleet = create_fleet(&home, "test").unwrap();
        let paths = open_fleet(&home, &fleet).unwrap();
        let lock = FleetLock::acquire(&paths).unwrap();
        let refused = FleetLock::acquire(&paths).unwrap_err();
        let holder = format!("process {}", std::process::id());
        assert!(refused.to_string().contains(&holder), "{refused}");
        drop(lock);
        FleetLock::acquire(&paths).unwrap();
    }
}
