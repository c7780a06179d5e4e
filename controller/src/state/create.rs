//! Making a fleet.

use std::time::SystemTime;

use aws_lc_rs::rand;
use camino::Utf8Path;
use foundry_link::pki::Authority;
use foundry_proto::FleetId;
use zeroize::Zeroizing;

use super::authorities::Authorities;
use super::durable::{sync_dir, write_private};
use super::error::StateError;
use super::guard;
use super::paths::Paths;

/// How long a key that seals is, in bytes.
pub(super) const SEAL_KEY_LENGTH: usize = 32;

/// Makes a new fleet of this name under `home`: an id with a random suffix, two CAs, a key for the store. All of it is on
/// the disk when this returns; a failure leaves nothing.
pub fn create_fleet(home: &Utf8Path, name: &str) -> Result<FleetId, StateError> {
    let fleet = FleetId::generate(name);
    let fleets = Paths::fleets(home);
    guard::make_private(&fleets)?;
    guard::refuse_open_parents(&fleets)?;
    guard::refuse_open(&fleets)?;

    // A temporary folder is 0700, and goes away with this function unless it is renamed.
    let draft = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(&fleets)
        .map_err(StateError::io("make a folder"))?;
    let draft_path = Utf8Path::from_path(draft.path()).unwrap_or(&fleets);
    let draft_home = draft_path.join("home");
    let made = Paths::new(&draft_home, &fleet);
    fill(&made)?;
    let place = Paths::new(home, &fleet);
    fs_err::rename(made.dir(), place.dir()).map_err(StateError::io("rename the new folder"))?;
    sync_dir(&fleets).map_err(StateError::io("write the folder"))?;
    Ok(fleet)
}

fn fill(paths: &Paths) -> Result<(), StateError> {
    let fleet = paths.fleet();
    guard::make_private(&paths.ca_dir())?;
    guard::make_private(&paths.artifacts())?;
    let authorities = Authorities::generate(fleet, SystemTime::now())?;
    for (kind, authority) in [
        (Authority::Fleet, authorities.fleet()),
        (Authority::Services, authorities.services()),
    ] {
        let certificate = authority.certificate_pem();
        write_private(&paths.ca_certificate(kind), certificate.as_bytes())
            .map_err(StateError::io("write a certificate"))?;
        let key = authority.key_pem();
        write_private(&paths.ca_key(kind), key.as_bytes())
            .map_err(StateError::io("write a key"))?;
    }
    let mut key = Zeroizing::new([0; SEAL_KEY_LENGTH]);
    rand::fill(key.as_mut_slice()).map_err(|_| StateError::Random)?;
    write_private(&paths.seal_key(), key.as_slice()).map_err(StateError::io("write a key"))?;
    sync_dir(&paths.ca_dir()).map_err(StateError::io("write the folder"))?;
    sync_dir(paths.dir()).map_err(StateError::io("write the folder"))
}
