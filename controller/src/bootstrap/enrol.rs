//! One host, from login to session.

use foundry_proto::agent::v1::{EnrolGrant, EnrolOffer};
use foundry_proto::operator::v1 as wire;
use foundry_proto::{Digest, FleetId};
use secrecy::SecretString;
use tonic::Status;

use super::agents::{Agent, Agents};
use super::cause::Cause;
use super::channel::Channel;
use super::dialogue::Turn;
use super::hello::Hello;
use super::order::{Order, Target};
use super::settings::Settings;
use super::ssh::{Mode, UnknownKeys};
use super::verdict;
use crate::api::client::Client;
use crate::api::error::ApiError;

/// How long a started agent may take to come, in milliseconds.
const SESSION_MS: u64 = 30_000;

/// How long an agent that should be there already may take to come, in milliseconds.
const PRESENT_MS: u64 = 500;

/// What all hosts of an order have in common.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub settings: Settings,
    pub agents: Agents,
    pub client: Client,
    pub fleet: FleetId,
    pub advertise: Vec<String>,
    pub take_over: bool,
    pub keys: UnknownKeys,
}

/// How it went well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Success {
    /// The host was enrolled now; else it was before.
    pub enrolled: bool,
    /// On the way to the host, in bytes.
    pub sent: u64,
    /// What should be looked at.
    pub warnings: Vec<String>,
}

// === impl Job ===

impl Job {
    pub(super) fn new(settings: &Settings, order: &Order, client: Client) -> Self {
        Self {
            settings: settings.clone(),
            agents: Agents::new(settings),
            client,
            fleet: order.fleet.clone(),
            advertise: order.advertise.clone(),
            take_over: order.take_over,
            keys: if order.accept_new_host_keys {
                UnknownKeys::Accept
            } else {
                UnknownKeys::Strict
            },
        }
    }

    /// Enrols this host; `say` hears what is being done.
    pub(super) async fn enrol(
        &self,
        target: &Target,
        mode: Mode,
        password: Option<&SecretString>,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<Success, Cause> {
        verdict::refuse_unsupported(target)?;
        say("logging in");
        let mut channel = Channel::open(&self.settings, target, mode, self.keys)?;
        let hello = greet(&mut channel, password).await?;
        let mut success = Success {
            warnings: verdict::warnings(&hello),
            ..Success::default()
        };
        let agent = self.examine(&hello).await?;
        if self.is_there(target, &hello, &agent).await {
            let quit = channel.dialogue().quit();
            channel.send(quit);
            channel.end().await;
            return Ok(success);
        }
        if hello.agent == Some(agent.digest) {
            let keep = channel.dialogue().keep(&agent.digest);
            channel.send(keep);
        } else {
            let packed = self.agents.packed(&agent).await?;
            say(&format!(
                "sending the agent, {:.1} MB",
                packed.len() as f64 / 1e6
            ));
            let announced = channel.dialogue().send(packed.len(), &agent.digest);
            success.sent = packed.len() as u64;
            channel.send(announced);
            channel.send(packed);
        }
        self.grant(&mut channel, target, &hello, say).await?;
        success.enrolled = true;
        say("waiting for its session");
        if let Err(cause) = self.session(target, &agent.digest, SESSION_MS).await {
            return Err(explain(&mut channel, cause).await);
        }
        channel.end().await;
        Ok(success)
    }

    /// What keeps this host from being enrolled; else the agent for it. Nothing was changed on it yet.
    async fn examine(&self, hello: &Hello) -> Result<Agent, Cause> {
        verdict::refuse_unfit(hello)?;
        if let Some(other) = &hello.enrolled
            && other.fleet != self.fleet.as_str()
            && !self.take_over
        {
            return Err(verdict::other_fleet(other));
        }
        self.agents.of(&hello.architecture).await
    }

    /// The host has this agent, is of this fleet, and its session is up.
    async fn is_there(&self, target: &Target, hello: &Hello, agent: &Agent) -> bool {
        let Some(enrolled) = &hello.enrolled else {
            return false;
        };
        if hello.agent != Some(agent.digest) || enrolled.fleet != self.fleet.as_str() {
            return false;
        }
        match self.session(target, &agent.digest, PRESENT_MS).await {
            Ok(record) => record.id == enrolled.host_id,
            Err(_) => false,
        }
    }

    /// From the agent's offer to its last word.
    async fn grant(
        &self,
        channel: &mut Channel,
        target: &Target,
        hello: &Hello,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Cause> {
        let turn = channel.next().await?;
        let Turn::Offer(offer) = turn else {
            return Err(verdict::out_of_turn(&turn));
        };
        say("enrolling");
        let grant = self.ask_controller(target, hello, *offer).await?;
        let grant = channel.dialogue().grant(grant);
        channel.send(grant);
        let turn = channel.next().await?;
        let Turn::Result(result) = turn else {
            return Err(verdict::out_of_turn(&turn));
        };
        verdict::outcome(result)
    }

    async fn ask_controller(
        &self,
        target: &Target,
        hello: &Hello,
        offer: EnrolOffer,
    ) -> Result<EnrolGrant, Cause> {
        let request = wire::EnrolRequest {
            hostname: target.hostname.clone(),
            address: target.address.clone(),
            facts: offer.facts,
            csr: offer.csr,
            seen_address: hello.client.clone(),
            current: offer.current,
            take_over: self.take_over,
            advertise: self.advertise.clone(),
            labels: target.labels.clone(),
        };
        let reply = self
            .client
            .clone()
            .enrol(request)
            .await
            .map_err(|status| refused(&status))?;
        let reply = reply.into_inner();
        Ok(EnrolGrant {
            fleet: reply.fleet,
            host_id: reply.host_id,
            hostname: target.hostname.clone(),
            chain: reply.chain,
            trusted_cas: reply.trusted_cas,
            addresses: reply.addresses,
            hmac_key: reply.hmac_key,
            epoch: reply.epoch,
        })
    }

    async fn session(
        &self,
        target: &Target,
        agent: &Digest,
        timeout_ms: u64,
    ) -> Result<wire::HostRecord, Cause> {
        let request = wire::AwaitHostRequest {
            hostname: target.hostname.clone(),
            timeout_ms,
            agent_digest: agent.to_bytes(),
        };
        let record = self.client.clone().await_host(request).await;
        record
            .map(tonic::Response::into_inner)
            .map_err(|status| refused(&status))
    }
}

/// Up to the host's hello, by way of sudo's question.
pub(super) async fn greet(
    channel: &mut Channel,
    password: Option<&SecretString>,
) -> Result<Hello, Cause> {
    loop {
        match channel.next().await? {
            Turn::Hello(hello) => return Ok(hello),
            Turn::Password => match password {
                Some(password) => channel.send_password(password),
                None => return Err(Cause::SudoNeedsPassword),
            },
            turn @ (Turn::Offer(_)
            | Turn::Result(_)
            | Turn::Ended
            | Turn::Journal(_)
            | Turn::Closed) => return Err(verdict::out_of_turn(&turn)),
        }
    }
}

/// The journal says more than that a session did not come.
async fn explain(channel: &mut Channel, cause: Cause) -> Cause {
    while let Ok(turn) = channel.next().await {
        match turn {
            Turn::Ended => {
                let ask = channel.dialogue().ask_for_journal();
                channel.send(ask);
            }
            Turn::Journal(journal) => {
                return Cause::NoSession {
                    why: cause.to_string(),
                    journal,
                };
            }
            Turn::Password | Turn::Hello(_) | Turn::Offer(_) | Turn::Result(_) | Turn::Closed => {
                break;
            }
        }
    }
    cause
}

fn refused(status: &Status) -> Cause {
    let error = ApiError::from_status(status);
    let mut parts = vec![error.message];
    parts.extend(error.causes);
    Cause::Controller {
        message: parts.join(": "),
        hints: error.hints,
    }
}
