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
