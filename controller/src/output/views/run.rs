//! A run: its steps, the causes of what failed, and how it ended.

use std::collections::BTreeSet;

use super::super::json::run::{RunDocument, RunsDocument, StepDocument};
use super::{Cell, brief, maybe, plain};
use crate::output::{Document, Page, Tone, time};

impl Document for RunDocument {
    fn draw(&self, page: &mut Page) {
        let Some(run) = &self.run else {
            let but = self
                .cause
                .as_ref()
                .map(|cause| format!("nothing to change, but {cause}"));
            return page.line(but.as_deref().unwrap_or("nothing to change"));
        };
        let who = self
            .who
            .as_ref()
            .map(|who| format!("by {who}"))
            .unwrap_or_default();
        let when = if self.started_ms > 0 {
            time::local(self.started_ms)
        } else {
            String::new()
        };
        page.words(&[
            (run, Tone::Strong),
            (self.outcome, tone(self.outcome)),
            (&who, Tone::Dim),
            (&when, Tone::Dim),
        ]);
        if let Some(cause) = &self.cause {
            let first = cause.lines().next().unwrap_or_default();
            page.indented(2, &format!("cause: {first}"), Tone::Bad);
        }
        if self.steps.is_empty() {
            return;
        }
        page.gap();
        let rows = self.steps.iter().map(StepDocument::row).collect();
        page.table(&["HOST", "STEP", "OUTCOME", "TIME", "CAUSE"], rows);
        for step in &self.steps {
            step.draw_log(page);
        }
        let hints = self.steps.iter().flat_map(|step| &step.hints);
        for (index, hint) in hints.collect::<BTreeSet<_>>().into_iter().enumerate() {
            if index == 0 {
                page.gap();
            }
            page.indented(2, &format!("hint: {hint}"), Tone::Good);
        }
    }
}

impl Document for RunsDocument {
    fn draw(&self, page: &mut Page) {
        if self.runs.is_empty() {
            return page.line("no runs yet");
        }
        let rows = self.runs.iter().map(|run| {
            vec![
                maybe(run.run.as_ref()),
                plain(time::local(run.started_ms)),
                (run.outcome.to_owned(), tone(run.outcome)),
                plain(run.duration_ms.map(time::duration).unwrap_or_default()),
                maybe(run.who.as_ref()),
                brief(run.cause.as_ref().or(run.reason.as_ref())),
            ]
        });
        let rows = rows.collect();
        page.table(
            &[
                "RUN",
                "STARTED",
                "OUTCOME",
                "TIME",
                "WHO",
                "CAUSE OR REASON",
            ],
            rows,
        );
    }
}

// === impl StepDocument ===

impl StepDocument {
    /// What follows the first line of a cause: the end of a log.
    fn draw_log(&self, page: &mut Page) {
        let cause = self.cause.as_deref().unwrap_or_default();
        if let Some((_, log)) = cause.split_once('\n') {
            page.gap();
            page.words(&[(&self.host, Tone::Strong), (&self.assignment, Tone::Strong)]);
            page.indented(2, log, Tone::Dim);
        }
    }

    fn row(&self) -> Vec<Cell> {
        let outcome = match (self.outcome, self.changed) {
            ("ok", true) => "changed",
            ("ok", false) => "unchanged",
            (other, _) => other,
        };
        let step = if self.assignment.is_empty() {
            &self.id
        } else {
            &self.assignment
        };
        vec![
            plain(self.host.clone()),
            plain(step.clone()),
            (outcome.to_owned(), tone(self.outcome)),
            plain(time::duration(self.duration_ms)),
            brief(self.cause.as_ref()),
        ]
    }
}

fn tone(outcome: &str) -> Tone {
    match outcome {
        "ok" => Tone::Good,
        "failed" => Tone::Bad,
        "running" => Tone::Plain,
        _ => Tone::Warn,
    }
}

#[cfg(test)]
mod tests {
    use crate::output::json::run::tests::sample;
    use crate::output::{Document as _, Page};

    #[test]
    fn a_run_shows_causes_beside_its_steps() {
        let mut run = sample();
        run.started_ms = 0;
        let mut page = Page::new(false, 80);
        run.draw(&mut page);
        insta::assert_snapshot!(page.into_text());
    }
}
