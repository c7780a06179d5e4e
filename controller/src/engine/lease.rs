//! The right to change the fleet: one holder at a time, written in the store, renewed while its run lives.
//!
//! It runs out on CLOCK_BOOTTIME, so a machine that slept does not hold it for ever, and a machine that started anew holds
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use foundry_proto::operator::v1::Lease;
use tokio_util::sync::CancellationToken;

use super::clock::{boot_id, boot_ms, now_ms};
use super::core::Core;
use super::error::{EngineError, date};
use crate::store::{LeaseRow, StoreError};

/// How long a lease is good without being renewed.
const TTL: Duration = Duration::from_secs(30);
/// How often it is renewed, and how often a waiter looks whether it ran out.
const RENEW: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Who asks for the lease.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) holder: String,
    pub(super) reason: String,
    pub(super) run: String,
}

/// Takes the lease, waiting for its holder at most so long.
pub(super) async fn acquire(core: &Core, claim: &Claim, wait: Duration) -> Result<(), EngineError> {
    let until = tokio::time::Instant::now() + wait;
    loop {
        let (row, version) = core.store.meta.lease().await?;
        if is_free(&row) {
            let taken = LeaseRow {
                holder: claim.holder.clone(),
                reason: claim.reason.clone(),
                since_ms: now_ms(),
                run: claim.run.clone(),
                until_boot_ms: boot_ms() + millis(TTL),
                boot_id: boot_id(),
            };
            match core.store.meta.set_lease(&taken, version).await {
                Err(error) if error.is_conflict() => continue,
                result => return Ok(result?),
            }
        }
        let now = tokio::time::Instant::now();
        if now >= until {
            return Err(EngineError::Leased {
                holder: row.holder,
                reason: row.reason,
                since: date(row.since_ms),
                run: row.run,
            });
        }
        tokio::time::sleep(LOOK_AGAIN.min(until - now)).await;
    }
}

/// Renews the lease of this run until `done`; when somebody else has it, `stolen` is cancelled.
pub(super) async fn keep(
    core: Arc<Core>,
    run: String,
    done: CancellationToken,
    stolen: CancellationToken,
) {
    loop {
        tokio::select! {
            () = done.cancelled() => return,
            () = tokio::time::sleep(RENEW) => {}
        }
        match renew(&core, &run).await {
            Ok(true) => {}
            Ok(false) => {
                stolen.cancel();
                return;
            }
            Err(error) => {
                tracing::warn!(
                    run,
                    error = &error as &dyn std::error::Error,
                    "lease not renewed"
                );
            }
        }
    }
}

async fn renew(core: &Core, run: &str) -> Result<bool, StoreError> {
    let (row, version) = core.store.meta.lease().await?;
    if row.run != run {
        return Ok(false);
    }
    let row = LeaseRow {
        until_boot_ms: boot_ms() + millis(TTL),
        boot_id: boot_id(),
        ..row
    };
    match core.store.meta.set_lease(&row, version).await {
        Err(error) if error.is_conflict() => Ok(true),
        result => result.map(|()| true),
    }
}

/// Gives the lease of this run back.
pub(super) async fn release(core: &Core, run: &str) -> Result<(), StoreError> {
    let (row, version) = core.store.meta.lease().await?;
    if row.run != run {
        return Ok(());
    }
    match core
        .store
        .meta
        .set_lease(&LeaseRow::default(), version)
        .await
    {
        Err(error) if error.is_conflict() => Ok(()),
        result => result,
    }
}

/// The lease as it stands.
pub(super) async fn show(core: &Core) -> Result<Lease, EngineError> {
    let (row, _) = core.store.meta.lease().await?;
    Ok(if is_free(&row) {
        Lease::default()
    } else {
        told(&row)
    })
}

/// Takes the lease away from whoever has it; its run starts no new steps. What was taken away.
pub(super) async fn steal(core: &Core, who: &str) -> Result<Lease, EngineError> {
    loop {
        let (row, version) = core.store.meta.lease().await?;
        if is_free(&row) {
            return Ok(Lease::default());
        }
        match core
            .store
            .meta
            .set_lease(&LeaseRow::default(), version)
            .await
        {
            Err(error) if error.is_conflict() => {}
            result => {
                result?;
                let text = format!("{who} took the lease from {}", row.holder);
                core.note_run(&row.run, text).await;
                return Ok(told(&row));
            }
        }
    }
}

fn is_free(row: &LeaseRow) -> bool {
    row.holder.is_empty() || row.boot_id != boot_id() || row.until_boot_ms <= boot_ms()
}

fn told(row: &LeaseRow) -> Lease {
    Lease {
        holder: row.holder.clone(),
        reason: row.reason.clone(),
        since_ms: row.since_ms,
        expires_in_ms: row.until_boot_ms.saturating_sub(boot_ms()),
        run: row.run.clone(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
