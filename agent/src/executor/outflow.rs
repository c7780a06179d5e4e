//! What goes to the session by itself: events in their order, health as it changes.

use std::sync::Arc;

use foundry_proto::agent::v1::HealthReport;
use tokio::sync::mpsc;

use super::Shared;
use crate::session::Outgoing;

/// Events handed over at a time.
const BATCH: usize = 64;

/// Hands each event to the session once, in order. What it loses, or has no room for, it asks for again itself.
pub(super) async fn events(shared: Arc<Shared>) {
    let unacknowledged = shared.books.keeper.unacknowledged();
    let mut handed_over = 0;
    loop {
        let batch = unacknowledged.after(handed_over, BATCH, &shared.books.times.now());
        if batch.is_empty() {
            tokio::select! {
                () = unacknowledged.more() => continue,
                () = shared.stop.cancelled() => return,
            }
        }
        for event in batch {
            handed_over = event.number;
            tokio::select! {
                sent = shared.outgoing.send(Outgoing::Event(event)) => if sent.is_err() { return },
                () = shared.stop.cancelled() => return,
            }
        }
    }
}

/// Puts each report on the board, and hands it to the session.
pub(super) async fn health(shared: Arc<Shared>, mut reports: mpsc::Receiver<HealthReport>) {
    while let Some(report) = reports.recv().await {
        shared.health.tick();
        let known = shared
            .books
            .board
            .report(report.clone(), shared.books.times.now());
        if !known {
            continue;
        }
        tokio::select! {
            sent = shared.outgoing.send(Outgoing::Health(report)) => if sent.is_err() { return },
            () = shared.stop.cancelled() => return,
        }
    }
}
