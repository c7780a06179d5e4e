//! Hands instructions to the agent, in order, beside the session: a slow ledger delays no heartbeat.

use std::sync::Arc;
use std::time::Duration;

use foundry_link::session::agent::Instruction;
use foundry_proto::agent::v1::{Observe, ObserveReply};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::agent::Agent;

/// Instructions that wait; the session reads no more until there is room.
const WAITING: usize = 16;

/// Observes at a time.
const OBSERVES: usize = 8;

/// For the instruction under way when the agent stops.
const GRACE: Duration = Duration::from_secs(2);

/// Replies that wait to be sent.
const REPLIES: usize = 8;

/// The session's ends of the worker.
pub(super) struct Worker {
    pub(super) instructions: mpsc::Sender<Box<Instruction>>,
    pub(super) replies: mpsc::Receiver<ObserveReply>,
    task: tokio::task::JoinHandle<()>,
}

// === impl Worker ===

impl Worker {
    pub(super) fn start(agent: Arc<dyn Agent>) -> Self {
        let (instructions, orders) = mpsc::channel(WAITING);
        let (answers, replies) = mpsc::channel(REPLIES);
        Self {
            instructions,
            replies,
            task: tokio::spawn(work(agent, orders, answers)),
        }
    }

    /// Ends when what was handed over is done, or did not end within the grace period. Nobody waits for observes any more.
    pub(super) async fn stop(mut self) {
        drop(self.instructions);
        drop(self.replies);
        match tokio::time::timeout(GRACE, &mut self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the session's worker failed"),
            Err(_) => {
                tracing::warn!("an instruction is still under way: it is left");
                self.task.abort();
            }
        }
    }
}

async fn work(
    agent: Arc<dyn Agent>,
    mut orders: mpsc::Receiver<Box<Instruction>>,
    answers: mpsc::Sender<ObserveReply>,
) {
    let mut observes = JoinSet::new();
    while let Some(instruction) = orders.recv().await {
        let instruction = *instruction;
        if let Instruction::Observe(observe) = instruction {
            while observes.len() >= OBSERVES {
                observes.join_next().await;
            }
            observes.spawn(answer(Arc::clone(&agent), observe, answers.clone()));
        } else {
            carry_out(&*agent, instruction).await;
        }
        while observes.try_join_next().is_some() {}
    }
}

async fn answer(agent: Arc<dyn Agent>, observe: Observe, answers: mpsc::Sender<ObserveReply>) {
    let id = observe.id;
    let mut reply = agent.observe(observe).await;
    reply.id = id;
    // Nobody waits for it once the session's driver is gone.
    let _ = answers.send(reply).await;
}

async fn carry_out(agent: &dyn Agent, instruction: Instruction) {
    match instruction {
        Instruction::Welcome(welcome) | Instruction::Settings(welcome) => {
            agent.welcome(&welcome).await;
        }
        Instruction::Assign(assign) => agent.assign(assign).await,
        Instruction::Refuse(assign, reason) => agent.refuse(assign, reason.to_owned()).await,
        Instruction::Cancel { name, revision } => agent.cancel(&name, revision).await,
        Instruction::StartJob(job) => agent.start_job(job).await,
        Instruction::CancelJob(id) => agent.cancel_job(&id).await,
        Instruction::Acknowledged(through) => agent.acknowledged(through).await,
        Instruction::Certificate(certificate) => agent.certificate(certificate).await,
        Instruction::Update(update) => agent.update(update).await,
        // Observed beside; forwards are answered by the session.
        Instruction::Observe(_) | Instruction::OpenForward(_) => {}
    }
}
