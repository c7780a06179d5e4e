//! `fleet:`

use super::splice::{Splices, indent, line_end, lines_after};
use super::{EditError, File};
use crate::FleetName;
use crate::emit;
use crate::tree::{Content, Style};

pub(super) fn set(file: &File<'_>, fleet: &FleetName) -> Result<Splices, EditError> {
    let mut splices = Splices::default();
    let written = emit::scalar(fleet.as_str());
    if let Some(entry) = file.root.entry("fleet") {
        let value = &entry.value;
        if value.is_text(fleet.as_str()) {
            return Ok(splices);
        }
        if value.alias || value.anchored {
            return Err(file.untouchable(value.at.start, "other places share its value"));
        }
        if !value.at.is_empty() {
            splices.replace(value.at.clone(), written);
            return Ok(splices);
        }
        // `fleet:` with nothing behind it.
        let key_end = entry.key.at.end;
        let colon = file.source[key_end..]
            .find(':')
            .map(|colon| key_end + colon + 1);
        let colon = colon.ok_or_else(|| file.untouchable(key_end, "its colon was not found"))?;
        splices.insert(colon, format!(" {written}"));
        return Ok(splices);
    }
    // A valid file has a version, and that is where people look for the fleet.
    let Some(version) = file.root.entry("version") else {
        return Err(file.untouchable(0, "there is no `version:` to put `fleet:` behind"));
    };
    if let Content::Mapping(_, Style::Flow) = file.root.content() {
        splices.insert(version.value.at.end, format!(", fleet: {written}"));
        return Ok(splices);
    }
    let indent = indent(file.source, version.key.at.start)
        .ok_or_else(|| file.untouchable(version.key.at.start, "`version` shares its line"))?;
    let end = line_end(file.source, version.value.at.end);
    let line = format!("{indent}fleet: {written}");
    splices.insert(end, lines_after(file.source, end, &[line]));
    Ok(splices)
}
