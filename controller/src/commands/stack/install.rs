//! `stack install`: plan, show, ask, upload, start, follow.

use std::time::Duration;

use foundry_proto::operator::v1 as wire;

use super::super::archives::{self, Archive};
use super::super::fleet;
use super::super::stackfile::StackFile;
use super::plan::{ask, install_request};
use super::{draft, enrol, follow};
use crate::api::client::{Client, refusal};
use crate::cli::args::{Install, OnFailure};
use crate::cli::{CliError, Context, Exit, runtime};
use crate::output::json::plan::PlanDocument;
use crate::output::json::run::RunDocument;

pub(super) fn run(context: &Context, options: &Install) -> Result<Exit, CliError> {
    let mut file = StackFile::load(context)?;
    let known = fleet::of_file(context, &file)?;
    let archives = archives::describe(context, &file, known.as_ref())?;
    if known.is_none() {
        // Nothing is made before the user has seen the plan and agreed.
        let shown = draft::plan(&file, &options.selecting, &archives)?;
        if let Some(exit) = end_of(context, options, &shown)? {
            return Ok(exit);
        }
        let paths = fleet::of_file_or_new(context, &mut file)?;
        return runtime::block_on(async {
            let mut client = fleet::controller(context, &file, &paths).await?;
            let plan = plan(&mut client, &file, options, &archives).await?;
            refuse_more(&shown, &PlanDocument::from(&plan))?;
            carry_out(context, client, &file, options, &archives, plan).await
        });
    }
    let paths = fleet::of_file_or_new(context, &mut file)?;
    runtime::block_on(async {
        let mut client = fleet::controller(context, &file, &paths).await?;
        let plan = plan(&mut client, &file, options, &archives).await?;
        if let Some(exit) = end_of(context, options, &PlanDocument::from(&plan))? {
            return Ok(exit);
        }
        carry_out(context, client, &file, options, &archives, plan).await
    })
}

async fn plan(
    client: &mut Client,
    file: &StackFile,
    options: &Install,
    archives: &[Archive],
) -> Result<wire::Plan, CliError> {
    ask(
        client,
        install_request(file, &options.selecting, archives, options.prune),
    )
    .await
}

/// Shows the plan. `None`: go on; else there is nothing to do, or the user does not want it.
fn end_of(
    context: &Context,
    options: &Install,
    plan: &PlanDocument,
) -> Result<Option<Exit>, CliError> {
    let printer = &context.printer;
    refuse_problems(context, plan)?;
    if plan.is_empty() {
        return Ok(Some(nothing(context, plan)));
    }
    printer.show(plan);
    if options.yes {
        return Ok(None);
    }
    if printer.confirm("Do this?", "--yes")? {
        return Ok(None);
    }
    printer.note("nothing was changed");
    Ok(Some(Exit::Done))
}

/// Says that nothing is to be changed, and what should be known all the same. A host that does not answer may differ.
fn nothing(context: &Context, plan: &PlanDocument) -> Exit {
    let said = !(plan.orphans.is_empty() && plan.warnings.is_empty());
    if said || !plan.unreachable.is_empty() {
        context.printer.show(plan);
    }
    let away = plan.unreachable.first();
    let cause = away.map(|host| format!("{} does not answer: {}", host.host, host.reason));
    let exit = if cause.is_none() {
        Exit::Done
    } else {
        Exit::Partial
    };
    context.printer.document(&RunDocument::nothing(cause));
    exit
}

/// A plan with problems cannot be run: shows it, and says the first on top.
pub(super) fn refuse_problems(context: &Context, plan: &PlanDocument) -> Result<(), CliError> {
    let Some(first) = plan.problems.first() else {
        return Ok(());
    };
    context.printer.show(plan);
    let place = [first.host.as_str(), first.assignment.as_str()].join(" ");
    let cause = format!("{}: {}", place.trim(), first.message);
    let cause = cause.trim_start_matches(": ").to_owned();
    let more = plan.problems.iter().skip(1);
    let more = more.map(|problem| {
        format!(
            "also: {} {}: {}",
            problem.host, problem.assignment, problem.message
        )
    });
    let error = CliError::because("the plan cannot be run", cause).hints(first.hint.clone());
    Err(error.hints(more))
}

/// The user agreed to what was shown, and to nothing else.
fn refuse_more(shown: &PlanDocument, now: &PlanDocument) -> Result<(), CliError> {
    let known = |change: &crate::output::json::plan::ChangeDocument| {
        shown.changes.iter().any(|other| {
            (&other.host, &other.assignment, &other.task, other.action)
                == (
                    &change.host,
                    &change.assignment,
                    &change.task,
                    change.action,
                )
        })
    };
    let more = now
        .changes
        .iter()
        .find(|change| change.action != "create" && !known(change));
    match more {
        None => Ok(()),
        Some(change) => Err(CliError::because(
            "the hosts are not as they were planned",
            format!(
                "{} {} on {} was not shown",
                change.action, change.assignment, change.host
            ),
        )
        .hint("look at it anew: `foundry stack plan`")),
    }
}

async fn carry_out(
    context: &Context,
    mut client: Client,
    file: &StackFile,
    options: &Install,
    archives: &[Archive],
    plan: wire::Plan,
) -> Result<Exit, CliError> {
    if !plan.enrol.is_empty() {
        fleet::refuse_deaf(&mut client).await?;
    }
    let orders = enrol::prepare(file, &options.enrolling, &plan.enrol)?;
    archives::upload(context, &mut client, archives).await?;
    let on_failure = match options.on_failure {
        OnFailure::Continue => wire::OnFailure::Continue,
        OnFailure::Abort => wire::OnFailure::Abort,
    };
    let run = start(
        context,
        &mut client,
        &plan,
        on_failure,
        &options.reason,
        options.lock_wait,
    )
    .await?;
    if let Some(orders) = orders {
        enrol::detach(context, orders, &run).await?;
    }
    follow::to_the_end(context, &mut client, &run).await
}

/// Starts the run; from here on it needs no command.
pub(super) async fn start(
    context: &Context,
    client: &mut Client,
    plan: &wire::Plan,
    on_failure: wire::OnFailure,
    reason: &str,
    lock_wait: Duration,
) -> Result<String, CliError> {
    let request = wire::StartRunRequest {
        plan_id: plan.id.clone(),
        who: context.environment.who.clone(),
        on_failure: on_failure.into(),
        reason: reason.to_owned(),
        lock_wait_ms: u64::try_from(lock_wait.as_millis()).unwrap_or(u64::MAX),
    };
    let reply = client
        .start_run(request)
        .await
        .map_err(|status| refusal(&status))?;
    Ok(reply.into_inner().run)
}

#[cfg(test)]
mod tests {
    use super::refuse_more;
    use crate::output::json::plan::tests::sample;

    #[test]
    fn an_update_that_was_not_shown_stops_the_run() {
        let shown = sample();
        assert!(refuse_more(&shown, &shown).is_ok());
        let mut now = shown.clone();
        now.changes[0].task = "env".to_owned();
        let error = refuse_more(&shown, &now).unwrap_err();
        assert_eq!(
            error.causes(),
            ["update service/whoami on node1 was not shown"]
        );
        now.changes[0].action = "create";
        assert!(refuse_more(&shown, &now).is_ok());
    }
}
