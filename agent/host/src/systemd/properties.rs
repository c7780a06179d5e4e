//! What a unit's properties on the bus say.

use std::collections::HashMap;
use std::time::Duration;

use zbus::OwnedVariant;

use super::{ActiveState, Exit, LoadState, UnitState};

/// Properties of one interface by name.
pub(super) type Properties = HashMap<String, OwnedVariant>;

/// si_code of a process that ended by itself (CLD_EXITED), as ExecMainCode has it; 2 and 3 are deaths by signals.
const EXITED: i32 = 1;

/// The interface that units of this name's type have beside the common one, where it says how they run.
pub(super) fn interface_of(unit: &str) -> Option<&'static str> {
    match unit.rsplit_once('.')?.1 {
        "service" => Some("org.freedesktop.systemd1.Service"),
        "mount" => Some("org.freedesktop.systemd1.Mount"),
        "timer" => Some("org.freedesktop.systemd1.Timer"),
        "socket" => Some("org.freedesktop.systemd1.Socket"),
        _ => None,
    }
}

/// The state that the common and the type's own properties tell.
pub(super) fn state(unit: &Properties, own: &Properties) -> UnitState {
    UnitState {
        load: match text(unit, "LoadState").as_str() {
            "loaded" => LoadState::Loaded,
            "not-found" | "" => LoadState::NotFound,
            "masked" => LoadState::Masked,
            other => LoadState::Other(other.to_owned()),
        },
        active: match text(unit, "ActiveState").as_str() {
            "inactive" => ActiveState::Inactive,
            "activating" => ActiveState::Activating,
            "active" => ActiveState::Active,
            "reloading" | "refreshing" => ActiveState::Reloading,
            "deactivating" => ActiveState::Deactivating,
            "failed" => ActiveState::Failed,
            _ => ActiveState::Unknown,
        },
        sub: text(unit, "SubState"),
        file_state: text(unit, "UnitFileState"),
        result: text(own, "Result"),
        restarts: get(own, "NRestarts").unwrap_or(0),
        main_pid: get(own, "MainPID").unwrap_or(0),
        exit: exit(own),
        started: Duration::from_micros(get(own, "ExecMainStartTimestampMonotonic").unwrap_or(0)),
        invocation: invocation(unit),
        needs_reload: get(unit, "NeedDaemonReload").unwrap_or(false),
    }
}

/// The number that a version text begins with: `252.31-1~deb12u1` is 252.
pub(super) fn version(text: &str) -> u32 {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn exit(own: &Properties) -> Option<Exit> {
    let status = get(own, "ExecMainStatus").unwrap_or(0);
    match get(own, "ExecMainCode")? {
        0 => None,
        EXITED => Some(Exit::Code(status)),
        _ => Some(Exit::Signal(status)),
    }
}

fn invocation(unit: &Properties) -> String {
    let bytes = unit
        .get("InvocationID")
        .and_then(|value| value.try_clone().ok())
        .and_then(|value| Vec::<u8>::try_from(value).ok())
        .unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(properties: &Properties, name: &str) -> String {
    properties
        .get(name)
        .and_then(|value| <&str>::try_from(value).ok())
        .unwrap_or_default()
        .to_owned()
}

fn get<T>(properties: &Properties, name: &str) -> Option<T>
where
    T: for<'a> TryFrom<&'a OwnedVariant>,
{
    T::try_from(properties.get(name)?).ok()
}

#[cfg(test)]
mod tests {
    use zbus::{OwnedVariant, Variant};

    use super::{Properties, interface_of, state, version};
    use crate::systemd::{ActiveState, Exit, LoadState};

    fn properties<const N: usize>(list: [(&str, Variant<'_>); N]) -> Properties {
        let owned = |value| OwnedVariant::try_from(value).unwrap();
        list.into_iter()
            .map(|(name, value)| (name.to_owned(), owned(value)))
            .collect()
    }

    #[test]
    fn a_failed_service_is_read_whole() {
        let unit = properties([
            ("LoadState", "loaded".into()),
            ("ActiveState", "failed".into()),
            ("SubState", "failed".into()),
            ("UnitFileState", "enabled".into()),
            ("InvocationID", vec![0xab_u8, 0x01].into()),
        ]);
        let service = properties([
            ("Result", "exit-code".into()),
            ("NRestarts", 5_u32.into()),
            ("ExecMainCode", 1_i32.into()),
            ("ExecMainStatus", 203_i32.into()),
        ]);
        let state = state(&unit, &service);
        assert_eq!(
            (&state.load, state.active),
            (&LoadState::Loaded, ActiveState::Failed)
        );
        assert_eq!((state.restarts, state.exit), (5, Some(Exit::Code(203))));
        assert_eq!(state.invocation, "ab01");
        assert_eq!(state.describe(), "failed (exit-code 203)");
        assert!(state.is_enabled());
    }

    #[test]
    fn missing_and_new_values_do_not_confuse() {
        let unit = properties([
            ("ActiveState", "maintenance".into()),
            ("SubState", 7_u32.into()),
        ]);
        let state = state(&unit, &Properties::new());
        assert_eq!(
            (state.load, state.active),
            (LoadState::NotFound, ActiveState::Unknown)
        );
        assert_eq!(state.exit, None);
    }

    #[test]
    fn names_and_versions() {
        assert_eq!(
            interface_of("a.b.service"),
            Some("org.freedesktop.systemd1.Service")
        );
        assert_eq!(interface_of("multi-user.target"), None);
        assert_eq!(version("252.31-1~deb12u1"), 252);
        assert_eq!(version("v252"), 0);
    }
}
