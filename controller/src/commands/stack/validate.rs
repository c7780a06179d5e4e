//! `stack validate`: the file, what depends on what, the virtual IP, and whether each host can be reached. Changes and
//! enrols nothing.

use super::super::stackfile::{self, StackFile};
use super::super::{archives, fleet};
use super::draft;
use crate::bootstrap::{self, Settings, Target};
use crate::cli::args::Selecting;
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::config::{CheckDocument, ValidDocument};

pub(super) fn run(context: &Context) -> Result<Exit, CliError> {
    let file = StackFile::read(stackfile::locate(context)?)?;
    let fleet = fleet::of_file(context, &file)?;
    let archives = archives::describe(context, &file, fleet.as_ref())?;
    let plan = draft::plan(&file, &Selecting::default(), &archives)?;
    let mut checks: Vec<_> = plan
        .problems
        .iter()
        .map(|problem| CheckDocument {
            name: "dependencies".to_owned(),
            host: Some(problem.host.clone()).filter(|host| !host.is_empty()),
            ok: false,
            message: problem.message.clone(),
            hints: problem.hint.iter().cloned().collect(),
        })
        .collect();
    if checks.is_empty() {
        checks.push(CheckDocument {
            name: "dependencies".to_owned(),
            host: None,
            ok: true,
            message: format!(
                "{} hosts, {} services",
                file.stack.hosts.len(),
                file.stack.services.len()
            ),
            hints: Vec::new(),
        });
    }
    checks.extend(vip(&file));
    let targets: Vec<_> = file.stack.hosts.iter().map(Target::of).collect();
    let settings = Settings::of(&context.environment);
    let reached = runtime::block_on(async { Ok(bootstrap::reach(&settings, targets).await) })?;
    checks.extend(reached.into_iter().map(|(host, result)| match result {
        Ok(found) => CheckDocument {
            name: "ssh".to_owned(),
            host: Some(host),
            ok: true,
            message: found,
            hints: Vec::new(),
        },
        Err(cause) => CheckDocument {
            name: "ssh".to_owned(),
            host: Some(host.clone()),
            ok: false,
            hints: cause.hints(&host),
            message: cause.to_string(),
        },
    }));
    let valid = checks.iter().all(|check| check.ok);
    context.printer.document(&ValidDocument {
        file: file.path.to_string(),
        valid,
        warnings: file.warnings,
        checks,
    });
    Ok(if valid { Exit::Done } else { Exit::Failed })
}

/// Who would hold the virtual IP.
fn vip(file: &StackFile) -> Option<CheckDocument> {
    let vip = file.stack.cluster.vip.as_ref()?;
    Some(CheckDocument {
        name: "vip".to_owned(),
        host: None,
        ok: true,
        message: format!("{} by {}", vip.address, vip.holder.as_str()),
        hints: Vec::new(),
    })
}
