//! Watching a run to its end. Leaving changes nothing about the run.

use foundry_proto::operator::v1 as wire;
use foundry_proto::operator::v1::run_event::Body;

use crate::api::client::{Client, refusal};
use crate::cli::{CliError, Context, Exit};
use crate::output::json::run::RunDocument;
use crate::output::{Progress, Tone, time};

/// Shows what the run does, prints how it ended, and says it by the exit code.
pub(super) async fn to_the_end(
    context: &Context,
    client: &mut Client,
    run: &str,
) -> Result<Exit, CliError> {
    let request = wire::WatchRunRequest {
        run: run.to_owned(),
        after: 0,
    };
    let mut events = client
        .watch_run(request)
        .await
        .map_err(|status| refusal(&status))?
        .into_inner();
    let progress = context.printer.progress();
    loop {
        let event = tokio::select! {
            event = events.message() => event.map_err(|status| lost(run, refusal(&status)))?,
            _ = tokio::signal::ctrl_c() => return Err(left(run)),
        };
        let Some(event) = event else {
            return Err(lost(
                run,
                CliError::failed("the controller ended before the run did"),
            ));
        };
        if let Some(Body::RunEnded(_)) = event.body {
            break;
        }
        show(&progress, event);
    }
    drop(progress);
    let reply = client
        .get_run(wire::GetRunRequest {
            run: run.to_owned(),
        })
        .await;
    let run = reply.map_err(|status| refusal(&status))?.into_inner();
    context.printer.document(&RunDocument::from(&run));
    Ok(exit(run.outcome()))
}

fn exit(outcome: wire::RunOutcome) -> Exit {
    match outcome {
        wire::RunOutcome::Ok => Exit::Done,
        wire::RunOutcome::Partial => Exit::Partial,
        wire::RunOutcome::Unspecified
        | wire::RunOutcome::Running
        | wire::RunOutcome::Failed
        | wire::RunOutcome::Cancelled
        | wire::RunOutcome::Interrupted => Exit::Failed,
    }
}

fn show(progress: &Progress, event: wire::RunEvent) {
    match event.body {
        Some(Body::StepStarted(step)) => {
            progress.update(&key(&step.host, &step.assignment, &step.step), "started");
        }
        Some(Body::StepProgress(step)) => {
            let text = [step.task.as_str(), step.text.as_str()].join(" ");
            progress.update(&key(&step.host, &step.assignment, &step.step), text.trim());
        }
        Some(Body::StepEnded(wire::StepEnded { record: Some(step) })) => ended(progress, &step),
        Some(Body::Notice(notice)) => {
            progress.note(&[(&notice.host, Tone::Strong), (&notice.text, Tone::Plain)]);
        }
        Some(Body::StepEnded(_) | Body::RunEnded(_) | Body::Question(_)) | None => {}
    }
}

fn ended(progress: &Progress, step: &wire::StepRecord) {
    let key = key(&step.host, &step.assignment, &step.id);
    let took = time::duration(step.duration_ms);
    let (text, tone) = match step.outcome() {
        wire::StepOutcome::Ok if step.changed => (format!("changed, {took}"), Tone::Good),
        wire::StepOutcome::Ok => (format!("done, {took}"), Tone::Good),
        wire::StepOutcome::Failed => (format!("failed: {}", step.cause), Tone::Bad),
        wire::StepOutcome::Skipped => (format!("skipped: {}", step.cause), Tone::Warn),
        wire::StepOutcome::Cancelled => ("cancelled".to_owned(), Tone::Warn),
        wire::StepOutcome::Interrupted => ("interrupted".to_owned(), Tone::Warn),
        wire::StepOutcome::Pending => (format!("kept for the host: {}", step.cause), Tone::Warn),
        wire::StepOutcome::Unspecified => ("ended".to_owned(), Tone::Plain),
    };
    progress.finish(&key, &text, tone);
    for hint in &step.hints {
        progress.note(&[("  hint:", Tone::Good), (hint, Tone::Plain)]);
    }
}

/// `node1 service/whoami`, `node1 enrol`.
fn key(host: &str, assignment: &str, step: &str) -> String {
    let what = if assignment.is_empty() {
        step.rsplit('/').next().unwrap_or(step)
    } else {
        assignment
    };
    if host.is_empty() {
        what.to_owned()
    } else {
        format!("{host} {what}")
    }
}

fn left(run: &str) -> CliError {
    let mut error = CliError::interrupted();
    error.source = format!("run {run} goes on without this command").into();
    error.hint(format!("see how it ends: `foundry runs show {run}`"))
}

fn lost(run: &str, error: CliError) -> CliError {
    error.hint(format!(
        "hosts finish what they have accepted; see it with `foundry runs show {run}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn a_line_is_named_after_host_and_what_is_done_there() {
        assert_eq!(
            key("node1", "service/whoami", "node1/service/whoami"),
            "node1 service/whoami"
        );
        assert_eq!(key("node1", "", "node1/enrol"), "node1 enrol");
        assert_eq!(key("", "", "openbao/init"), "init");
    }
}
